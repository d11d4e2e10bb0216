// grafeas-v1 is a server of the Grafeas API v1: the project's own go/v1/api, which checks names and fields, over a storage of
// ours. It speaks gRPC at $1 and the REST gateway at $2, and keeps what it has in the file $3: one message a line.
//
// Lists are paged, $GRAFEAS_PAGE at a time at most. In projects named `denied…` nothing is allowed, in those named
// `attach…` everything but making notes.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/grafeas/grafeas/go/iam"
	api "github.com/grafeas/grafeas/go/v1/api"
	pb "github.com/grafeas/grafeas/proto/v1/grafeas_go_proto"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	fieldmaskpb "google.golang.org/genproto/protobuf/field_mask"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type auth struct{}

func (auth) CheckAccessAndProject(_ context.Context, project, _ string, p iam.Permission) error {
	if strings.HasPrefix(project, "denied") || strings.HasPrefix(project, "attach") && p == api.NotesCreate {
		return status.Errorf(codes.PermissionDenied, "permission %q denied on project %q", fmt.Sprint(p), project)
	}
	return nil
}
func (auth) EndUserID(context.Context) (string, error)                       { return "0", nil }
func (auth) PurgePolicy(context.Context, string, string, iam.Resource) error { return nil }

type mem struct {
	sync.Mutex
	o     map[string]*pb.Occurrence
	n     map[string]*pb.Note
	order []string
	file  *os.File
}

func (m *mem) keep(kind byte, name string, message proto.Message) {
	switch message := message.(type) {
	case *pb.Note:
		m.n[name] = message
	case *pb.Occurrence:
		m.o[name] = message
		m.order = append(m.order, name)
	}
	if m.file == nil {
		return
	}
	line, err := protojson.Marshal(message)
	if err == nil {
		_, err = fmt.Fprintf(m.file, "%c%s\n", kind, line)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func open(path string) (*mem, error) {
	m := &mem{o: map[string]*pb.Occurrence{}, n: map[string]*pb.Note{}}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line := lines.Bytes()
		note, occurrence := &pb.Note{}, &pb.Occurrence{}
		if line[0] == 'n' && protojson.Unmarshal(line[1:], note) == nil {
			m.keep('n', note.Name, note)
		} else if line[0] == 'o' && protojson.Unmarshal(line[1:], occurrence) == nil {
			m.keep('o', occurrence.Name, occurrence)
		}
	}
	m.file = file
	return m, lines.Err()
}

func oname(p, id string) string { return "projects/" + p + "/occurrences/" + id }
func nname(p, id string) string { return "projects/" + p + "/notes/" + id }
func nf(n string) error         { return status.Errorf(codes.NotFound, "%q does not exist", n) }

var res = regexp.MustCompile(`resource(?:Url|_url|Uri|_uri)\s*=\s*("(?:[^"\\]|\\.)*")`)
var knd = regexp.MustCompile(`kind\s*=\s*"([A-Z_]*)"`)

func match(o *pb.Occurrence, f string) bool {
	found := true
	for _, m := range res.FindAllStringSubmatch(f, -1) {
		uri, err := strconv.Unquote(m[1])
		found = err == nil && uri == o.ResourceUri
		if found {
			break
		}
	}
	if m := knd.FindStringSubmatch(f); m != nil && m[1] != o.Kind.String() {
		return false
	}
	return found
}
func (m *mem) GetOccurrence(_ context.Context, p, id string) (*pb.Occurrence, error) {
	m.Lock()
	defer m.Unlock()
	if o, ok := m.o[oname(p, id)]; ok {
		return o, nil
	}
	return nil, nf(oname(p, id))
}

var most, _ = strconv.Atoi(os.Getenv("GRAFEAS_PAGE"))

// Pages in the order in which occurrences were made; the token is where the next page begins.
func (m *mem) list(token string, size int32, keep func(*pb.Occurrence) bool) (r []*pb.Occurrence, next string, err error) {
	m.Lock()
	defer m.Unlock()
	from := 0
	if token != "" {
		if from, err = strconv.Atoi(token); err != nil || from < 0 || from > len(m.order) {
			return nil, "", status.Errorf(codes.InvalidArgument, "page token %q", token)
		}
	}
	if most > 0 && int(size) > most {
		size = int32(most)
	}
	for i, name := range m.order[from:] {
		o, ok := m.o[name]
		if !ok || !keep(o) {
			continue
		}
		if len(r) == int(size) {
			return r, strconv.Itoa(from + i), nil
		}
		r = append(r, o)
	}
	return r, "", nil
}
func (m *mem) ListOccurrences(_ context.Context, p, f, token string, size int32) ([]*pb.Occurrence, string, error) {
	return m.list(token, size, func(o *pb.Occurrence) bool { return strings.HasPrefix(o.Name, oname(p, "")) && match(o, f) })
}
func (m *mem) CreateOccurrence(_ context.Context, p, _ string, o *pb.Occurrence) (*pb.Occurrence, error) {
	m.Lock()
	defer m.Unlock()
	n, ok := m.n[o.NoteName]
	if !ok {
		return nil, nf(o.NoteName)
	}
	o = proto.Clone(o).(*pb.Occurrence)
	o.Name, o.Kind, o.CreateTime = oname(p, uuid.New().String()), n.Kind, timestamppb.Now()
	o.UpdateTime = o.CreateTime
	m.keep('o', o.Name, o)
	return o, nil
}
func (m *mem) BatchCreateOccurrences(c context.Context, p, u string, os []*pb.Occurrence) (r []*pb.Occurrence, es []error) {
	for _, o := range os {
		if x, err := m.CreateOccurrence(c, p, u, o); err != nil {
			es = append(es, err)
		} else {
			r = append(r, x)
		}
	}
	return
}
func (m *mem) UpdateOccurrence(_ context.Context, p, id string, o *pb.Occurrence, _ *fieldmaskpb.FieldMask) (*pb.Occurrence, error) {
	m.Lock()
	defer m.Unlock()
	k := oname(p, id)
	if _, ok := m.o[k]; !ok {
		return nil, nf(k)
	}
	o.Name, o.UpdateTime = k, timestamppb.Now()
	m.o[k] = o
	return o, nil
}
func (m *mem) DeleteOccurrence(_ context.Context, p, id string) error {
	m.Lock()
	defer m.Unlock()
	delete(m.o, oname(p, id))
	return nil
}
func (m *mem) GetNote(_ context.Context, p, id string) (*pb.Note, error) {
	m.Lock()
	defer m.Unlock()
	if n, ok := m.n[nname(p, id)]; ok {
		return n, nil
	}
	return nil, nf(nname(p, id))
}
func (m *mem) ListNotes(_ context.Context, p, _, _ string, _ int32) (r []*pb.Note, _ string, _ error) {
	m.Lock()
	defer m.Unlock()
	for k, n := range m.n {
		if strings.HasPrefix(k, nname(p, "")) {
			r = append(r, n)
		}
	}
	return r, "", nil
}
func kind(n *pb.Note) pb.NoteKind {
	switch n.Type.(type) {
	case *pb.Note_Attestation:
		return pb.NoteKind_ATTESTATION
	case *pb.Note_Build:
		return pb.NoteKind_BUILD
	case *pb.Note_DsseAttestation:
		return pb.NoteKind_DSSE_ATTESTATION
	}
	return n.Kind
}
func (m *mem) CreateNote(_ context.Context, p, id, _ string, n *pb.Note) (*pb.Note, error) {
	m.Lock()
	defer m.Unlock()
	k := nname(p, id)
	if _, ok := m.n[k]; ok {
		return nil, status.Errorf(codes.AlreadyExists, "%q already exists", k)
	}
	n = proto.Clone(n).(*pb.Note)
	n.Name, n.Kind, n.CreateTime = k, kind(n), timestamppb.Now()
	n.UpdateTime = n.CreateTime
	m.keep('n', k, n)
	return n, nil
}
func (m *mem) BatchCreateNotes(c context.Context, p, u string, ns map[string]*pb.Note) (r []*pb.Note, es []error) {
	for id, n := range ns {
		if x, err := m.CreateNote(c, p, id, u, n); err != nil {
			es = append(es, err)
		} else {
			r = append(r, x)
		}
	}
	return
}
func (m *mem) UpdateNote(_ context.Context, p, id string, n *pb.Note, _ *fieldmaskpb.FieldMask) (*pb.Note, error) {
	m.Lock()
	defer m.Unlock()
	k := nname(p, id)
	if _, ok := m.n[k]; !ok {
		return nil, nf(k)
	}
	n.Name, n.UpdateTime = k, timestamppb.Now()
	m.n[k] = n
	return n, nil
}
func (m *mem) DeleteNote(_ context.Context, p, id string) error {
	m.Lock()
	defer m.Unlock()
	delete(m.n, nname(p, id))
	return nil
}
func (m *mem) GetOccurrenceNote(c context.Context, p, id string) (*pb.Note, error) {
	o, err := m.GetOccurrence(c, p, id)
	if err != nil {
		return nil, err
	}
	m.Lock()
	defer m.Unlock()
	return m.n[o.NoteName], nil
}
func (m *mem) ListNoteOccurrences(_ context.Context, p, id, f, token string, size int32) ([]*pb.Occurrence, string, error) {
	return m.list(token, size, func(o *pb.Occurrence) bool { return o.NoteName == nname(p, id) && match(o, f) })
}

func main() {
	storage, err := open(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer()
	pb.RegisterGrafeasServer(s, &api.API{Storage: storage, Auth: auth{}, EnforceValidation: true})
	go func() { log.Fatal(s.Serve(l)) }()
	mux := runtime.NewServeMux()
	if err := pb.RegisterGrafeasHandlerFromEndpoint(context.Background(), mux, os.Args[1], []grpc.DialOption{grpc.WithInsecure()}); err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Args[2], mux))
}
