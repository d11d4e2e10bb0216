// Azure Key Vault's keys, as Microsoft's own generated server reads requests and writes answers (azkeys/fake); what
// is behind it is here: keys in memory, with versions that may be disabled.
//
// Whoever shows a bearer token is let in; others are told, as the service tells them, who gives tokens.
//
// Usage: azkv HTTPS_ADDRESS CERTIFICATE KEY HTTP_ADDRESS LOGIN_URL
//
// Both addresses answer the same: clients of the service speak HTTPS only, and whoever makes keys may save it.
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys/fake"
)

type version struct {
	signer crypto.Signer
	bundle azkeys.KeyBundle
}

type vault struct {
	sync.Mutex
	base string
	keys map[string][]*version
}

// A refusal: its status, its code and, after a slash, the code within.
type refusal struct {
	status int
	code   string
}

// The generated pattern of paths takes NAME/VERSION for the name.
func (v *vault) find(path string) (*version, *refusal) {
	name, number, _ := strings.Cut(path, "/")
	versions := v.keys[name]
	for i := len(versions) - 1; i >= 0; i-- {
		if number == "" || versions[i].bundle.Key.KID.Version() == number {
			return versions[i], nil
		}
	}
	return nil, &refusal{http.StatusNotFound, "KeyNotFound"}
}

func (v *vault) create(name string, p azkeys.CreateKeyParameters) (azkeys.KeyBundle, *refusal) {
	number := fmt.Sprintf("%032x", len(v.keys[name])+1)
	id := azkeys.ID(v.base + "/keys/" + name + "/" + number)
	jwk := azkeys.JSONWebKey{KID: &id, Kty: p.Kty, KeyOps: []*azkeys.KeyOperation{to.Ptr(azkeys.KeyOperationSign)}}
	var signer crypto.Signer
	curves := map[azkeys.CurveName]elliptic.Curve{
		azkeys.CurveNameP256: elliptic.P256(), azkeys.CurveNameP384: elliptic.P384(), azkeys.CurveNameP521: elliptic.P521(),
	}
	switch {
	case p.Kty != nil && *p.Kty == azkeys.KeyTypeEC && p.Curve != nil && curves[*p.Curve] != nil:
		key, err := ecdsa.GenerateKey(curves[*p.Curve], rand.Reader)
		if err != nil {
			return azkeys.KeyBundle{}, &refusal{http.StatusInternalServerError, "InternalError"}
		}
		size := (key.Params().BitSize + 7) / 8
		jwk.Crv, jwk.X, jwk.Y = p.Curve, key.X.FillBytes(make([]byte, size)), key.Y.FillBytes(make([]byte, size))
		signer = key
	case p.Kty != nil && *p.Kty == azkeys.KeyTypeRSA && p.KeySize != nil && *p.KeySize >= 2048 && *p.KeySize <= 4096:
		key, err := rsa.GenerateKey(rand.Reader, int(*p.KeySize))
		if err != nil {
			return azkeys.KeyBundle{}, &refusal{http.StatusInternalServerError, "InternalError"}
		}
		exponent := binary.BigEndian.AppendUint32(nil, uint32(key.E))
		jwk.N, jwk.E = key.N.Bytes(), []byte(strings.TrimLeft(string(exponent), "\x00"))
		signer = key
	default:
		return azkeys.KeyBundle{}, &refusal{http.StatusBadRequest, "BadParameter"}
	}
	now := to.Ptr(time.Now())
	attributes := azkeys.KeyAttributes{Enabled: to.Ptr(true), Created: now, Updated: now}
	made := &version{signer, azkeys.KeyBundle{Key: &jwk, Attributes: &attributes}}
	v.keys[name] = append(v.keys[name], made)
	return made.bundle, nil
}

var hashes = map[azkeys.SignatureAlgorithm]struct {
	kty  azkeys.KeyType
	hash crypto.Hash
	bits int
}{
	azkeys.SignatureAlgorithmES256: {azkeys.KeyTypeEC, crypto.SHA256, 256},
	azkeys.SignatureAlgorithmES384: {azkeys.KeyTypeEC, crypto.SHA384, 384},
	azkeys.SignatureAlgorithmES512: {azkeys.KeyTypeEC, crypto.SHA512, 521},
	azkeys.SignatureAlgorithmRS256: {azkeys.KeyTypeRSA, crypto.SHA256, 0},
	azkeys.SignatureAlgorithmRS384: {azkeys.KeyTypeRSA, crypto.SHA384, 0},
	azkeys.SignatureAlgorithmRS512: {azkeys.KeyTypeRSA, crypto.SHA512, 0},
}

func (v *vault) sign(path string, p azkeys.SignParameters) (azkeys.KeyOperationResult, *refusal) {
	none := azkeys.KeyOperationResult{}
	key, refused := v.find(path)
	if refused != nil {
		return none, refused
	}
	if !*key.bundle.Attributes.Enabled {
		return none, &refusal{http.StatusForbidden, "Forbidden/KeyDisabled"}
	}
	if p.Algorithm == nil || *key.bundle.Key.Kty != hashes[*p.Algorithm].kty || len(p.Value) != hashes[*p.Algorithm].hash.Size() {
		return none, &refusal{http.StatusBadRequest, "BadParameter"}
	}
	var signature []byte
	switch signer := key.signer.(type) {
	case *ecdsa.PrivateKey:
		if signer.Params().BitSize != hashes[*p.Algorithm].bits {
			return none, &refusal{http.StatusBadRequest, "BadParameter"}
		}
		r, s, err := ecdsa.Sign(rand.Reader, signer, p.Value)
		if err != nil {
			return none, &refusal{http.StatusInternalServerError, "InternalError"}
		}
		size := (signer.Params().BitSize + 7) / 8
		signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case *rsa.PrivateKey:
		made, err := rsa.SignPKCS1v15(rand.Reader, signer, hashes[*p.Algorithm].hash, p.Value)
		if err != nil {
			return none, &refusal{http.StatusInternalServerError, "InternalError"}
		}
		signature = made
	}
	return azkeys.KeyOperationResult{KID: key.bundle.Key.KID, Result: signature}, nil
}

// Runs under the lock, and answers by the generated responders.
func answer[R, T any](v *vault, wrap func(T) R, run func() (T, *refusal)) (r azfake.Responder[R], e azfake.ErrorResponder) {
	v.Lock()
	defer v.Unlock()
	value, refused := run()
	if refused != nil {
		e.SetResponseError(refused.status, refused.code)
		return
	}
	r.SetResponse(http.StatusOK, wrap(value), nil)
	return
}

func (v *vault) server() *fake.Server {
	return &fake.Server{
		CreateKey: func(_ context.Context, name string, p azkeys.CreateKeyParameters, _ *azkeys.CreateKeyOptions) (azfake.Responder[azkeys.CreateKeyResponse], azfake.ErrorResponder) {
			wrap := func(b azkeys.KeyBundle) azkeys.CreateKeyResponse { return azkeys.CreateKeyResponse{KeyBundle: b} }
			return answer(v, wrap, func() (azkeys.KeyBundle, *refusal) { return v.create(name, p) })
		},
		GetKey: func(_ context.Context, path, _ string, _ *azkeys.GetKeyOptions) (azfake.Responder[azkeys.GetKeyResponse], azfake.ErrorResponder) {
			wrap := func(b azkeys.KeyBundle) azkeys.GetKeyResponse { return azkeys.GetKeyResponse{KeyBundle: b} }
			return answer(v, wrap, func() (azkeys.KeyBundle, *refusal) {
				key, refused := v.find(path)
				if refused != nil {
					return azkeys.KeyBundle{}, refused
				}
				return key.bundle, nil
			})
		},
		UpdateKey: func(_ context.Context, path, _ string, p azkeys.UpdateKeyParameters, _ *azkeys.UpdateKeyOptions) (azfake.Responder[azkeys.UpdateKeyResponse], azfake.ErrorResponder) {
			wrap := func(b azkeys.KeyBundle) azkeys.UpdateKeyResponse { return azkeys.UpdateKeyResponse{KeyBundle: b} }
			return answer(v, wrap, func() (azkeys.KeyBundle, *refusal) {
				key, refused := v.find(path)
				if refused != nil || p.KeyAttributes == nil || p.KeyAttributes.Enabled == nil {
					return azkeys.KeyBundle{}, &refusal{http.StatusBadRequest, "BadParameter"}
				}
				key.bundle.Attributes.Enabled = p.KeyAttributes.Enabled
				return key.bundle, nil
			})
		},
		Sign: func(_ context.Context, path, _ string, p azkeys.SignParameters, _ *azkeys.SignOptions) (azfake.Responder[azkeys.SignResponse], azfake.ErrorResponder) {
			wrap := func(b azkeys.KeyOperationResult) azkeys.SignResponse {
				return azkeys.SignResponse{KeyOperationResult: b}
			}
			return answer(v, wrap, func() (azkeys.KeyOperationResult, *refusal) { return v.sign(path, p) })
		},
	}
}

// The generated server dispatches on the name of the operation, which the client puts into the context.
func operation(q *http.Request) string {
	switch {
	case strings.HasSuffix(q.URL.Path, "/create"):
		return "Client.CreateKey"
	case strings.HasSuffix(q.URL.Path, "/sign"):
		return "Client.Sign"
	case q.Method == http.MethodPatch:
		return "Client.UpdateKey"
	}
	return "Client.GetKey"
}

func fail(w http.ResponseWriter, status int, code, message string) {
	outer, inner, nested := strings.Cut(code, "/")
	told := map[string]any{"code": outer, "message": message}
	if nested {
		told["innererror"] = map[string]string{"code": inner}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": told})
}

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: azkv HTTPS_ADDRESS CERTIFICATE KEY HTTP_ADDRESS LOGIN_URL")
	}
	v := &vault{base: "https://" + os.Args[1], keys: map[string][]*version{}}
	transport := fake.NewServerTransport(v.server())
	handler := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !strings.HasPrefix(q.Header.Get("Authorization"), "Bearer ") {
			w.Header().Set("WWW-Authenticate", `Bearer authorization="`+os.Args[5]+`", resource="https://vault.azure.net"`)
			fail(w, http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
			return
		}
		q.URL.Scheme, q.URL.Host = "https", q.Host
		name := operation(q)
		response, err := transport.Do(q.WithContext(context.WithValue(q.Context(), runtime.CtxAPINameKey{}, name)))
		var refused *azcore.ResponseError
		if errors.As(err, &refused) {
			fail(w, refused.StatusCode, refused.ErrorCode, refused.ErrorCode)
			return
		}
		if err != nil {
			fail(w, http.StatusInternalServerError, "InternalError", err.Error())
			return
		}
		for header, values := range response.Header {
			w.Header()[header] = values
		}
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
	})
	go func() { log.Fatal(http.ListenAndServe(os.Args[4], handler)) }()
	log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], handler))
}
