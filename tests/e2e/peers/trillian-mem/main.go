// Trillian in one process: its log server and its sequencer over its own storage in memory. It makes as many trees
// as it is told to and prints their numbers.
//
// Usage: trillian-mem 127.0.0.1:8090 TREES
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/extension"
	tlog "github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/server/admin"
	"github.com/google/trillian/server/interceptor"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/memory"
	"github.com/google/trillian/util/clock"
	"github.com/google/trillian/util/election2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"k8s.io/klog/v2"
)

// once takes each leaf once, as Trillian's other storages do and the one in memory does not.
type once struct {
	storage.LogStorage
	mutex sync.Mutex
	seen  map[string]*trillian.LogLeaf
}

func (o *once) QueueLeaves(ctx context.Context, tree *trillian.Tree, leaves []*trillian.LogLeaf, at time.Time) ([]*trillian.QueuedLogLeaf, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	queued := make([]*trillian.QueuedLogLeaf, len(leaves))
	for i, leaf := range leaves {
		key := fmt.Sprintf("%d/%x", tree.TreeId, leaf.LeafIdentityHash)
		if there, ok := o.seen[key]; ok {
			known := status.New(codes.AlreadyExists, "leaf already exists").Proto()
			queued[i] = &trillian.QueuedLogLeaf{Leaf: there, Status: known}
			continue
		}
		one, err := o.LogStorage.QueueLeaves(ctx, tree, leaves[i:i+1], at)
		if err != nil {
			return nil, err
		}
		queued[i] = one[0]
		o.seen[key] = leaf
	}
	return queued, nil
}

func main() {
	// It tells every round of its sequencer, though there is nothing to do.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)

	ctx := context.Background()
	trees := memory.NewTreeStorage()
	metrics := monitoring.InertMetricFactory{}
	registry := extension.Registry{
		AdminStorage:    memory.NewAdminStorage(trees),
		LogStorage:      &once{LogStorage: memory.NewLogStorage(trees, metrics), seen: map[string]*trillian.LogLeaf{}},
		ElectionFactory: election2.NoopFactory{},
		QuotaManager:    quota.Noop(),
		MetricFactory:   metrics,
	}
	administrator := admin.New(registry, nil)
	logs := server.NewTrillianLogRPCServer(registry, clock.System)
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	for range count {
		tree, err := administrator.CreateTree(ctx, &trillian.CreateTreeRequest{Tree: &trillian.Tree{
			TreeState:       trillian.TreeState_ACTIVE,
			TreeType:        trillian.TreeType_LOG,
			MaxRootDuration: durationpb.New(time.Hour),
		}})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := logs.InitLog(ctx, &trillian.InitLogRequest{LogId: tree.TreeId}); err != nil {
			log.Fatal(err)
		}
		fmt.Println("tree", tree.TreeId)
	}

	services := grpc.NewServer(grpc.UnaryInterceptor(interceptor.ErrorWrapper))
	trillian.RegisterTrillianAdminServer(services, administrator)
	trillian.RegisterTrillianLogServer(services, logs)
	sequencing := tlog.OperationInfo{
		Registry:    registry,
		BatchSize:   500,
		NumWorkers:  2,
		RunInterval: 50 * time.Millisecond,
		TimeSource:  clock.System,
	}
	go tlog.NewOperationManager(sequencing, tlog.NewSequencerManager(registry, 0)).OperationLoop(ctx)

	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(services.Serve(listener))
}
