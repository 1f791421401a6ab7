// Command sigstore serves a whole sigstore on loopback: the real certificate authority (Fulcio) with its certificate
// transparency log (TesseraCT), the real transparency log (Rekor) and the real timestamp authority.
//
// Every instance has keys of its own. It writes what clients need to know to FOLDER/client-trust-config.json when all
// services answer, and ends with its standard input.
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	ctclient "github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/jsonclient"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/sigstore/fulcio/pkg/ca"
	"github.com/sigstore/fulcio/pkg/ca/ephemeralca"
	"github.com/sigstore/fulcio/pkg/config"
	fulcio "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"github.com/sigstore/fulcio/pkg/identity"
	fulcioserver "github.com/sigstore/fulcio/pkg/server"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekor "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix/app"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	timestamps "github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"github.com/transparency-dev/tesseract"
	"github.com/transparency-dev/tesseract/storage"
	issuers "github.com/transparency-dev/tesseract/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

const (
	host   = "127.0.0.1"
	origin = "log.aiconform.test"
	// How often the logs publish: their defaults let a client wait for seconds.
	interval = 200 * time.Millisecond
)

func main() {
	folder := flag.String("folder", "", "an empty folder for keys and logs")
	issuers := flag.String("issuers", "", "URLs of the OIDC issuers whose identities get certificates, by comma")
	starts := flag.Duration("starts", 0, "how long after now certificates start to be valid")
	lasts := flag.Duration("lasts", 10*time.Minute, "how long certificates are valid")
	flag.Parse()

	authority := must(ephemeralca.NewEphemeralCA())
	roots := must(authority.TrustBundle(context.Background()))[0]
	ctURL, ctKey := serveCertificateLog(*folder, roots)
	caURL := serveAuthority(&shifted{authority, *starts, *lasts}, strings.Split(*issuers, ","), ctURL)
	tsaURL, tsaChain := serveTimestamps()
	logURL, logKey := serveLog(*folder)

	_, logID, err := rekornote.KeyHash(origin, logKey)
	check(err)
	ctID := sha256.Sum256(der(ctKey))
	trust := map[string]any{
		"mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
		"trustedRoot": map[string]any{
			"mediaType":              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
			"tlogs":                  []any{instance(logURL, logKey, "PKIX_ED25519", logID)},
			"ctlogs":                 []any{instance(ctURL, ctKey, "PKIX_ECDSA_P256_SHA_256", ctID[:])},
			"certificateAuthorities": []any{authorityOf(caURL, roots)},
			"timestampAuthorities":   []any{authorityOf(tsaURL, tsaChain)},
		},
		"signingConfig": map[string]any{
			"mediaType":       "application/vnd.dev.sigstore.signingconfig.v0.2+json",
			"caUrls":          []any{service(caURL, 1)},
			"rekorTlogUrls":   []any{service(logURL, 2)},
			"tsaUrls":         []any{service(tsaURL, 1)},
			"rekorTlogConfig": map[string]any{"selector": "ANY"},
			"tsaConfig":       map[string]any{"selector": "ANY"},
		},
	}
	write(filepath.Join(*folder, "part"), must(json.MarshalIndent(trust, "", " ")))
	check(os.Rename(filepath.Join(*folder, "part"), filepath.Join(*folder, "client-trust-config.json")))
	must(io.Copy(io.Discard, os.Stdin))
}

// shifted is Fulcio's authority whose certificates are valid at other times: nothing else about them differs.
type shifted struct {
	*ephemeralca.EphemeralCA
	starts, lasts time.Duration
}

type during struct {
	identity.Principal
	starts, lasts time.Duration
}

func (p during) Embed(ctx context.Context, cert *x509.Certificate) error {
	cert.NotBefore = cert.NotBefore.Add(p.starts)
	cert.NotAfter = cert.NotBefore.Add(p.lasts)
	return p.Principal.Embed(ctx, cert)
}

func (s *shifted) CreatePrecertificate(
	ctx context.Context, principal identity.Principal, key crypto.PublicKey,
) (*ca.CodeSigningPreCertificate, error) {
	return s.EphemeralCA.CreatePrecertificate(ctx, during{principal, s.starts, s.lasts}, key)
}

// configured gives each request Fulcio's configuration, as an interceptor of its gRPC server does.
type configured struct {
	fulcioserver.GRPCCAServer
	config *config.FulcioConfig
}

func (c configured) CreateSigningCertificate(
	ctx context.Context, request *fulcio.CreateSigningCertificateRequest,
) (*fulcio.SigningCertificate, error) {
	return c.GRPCCAServer.CreateSigningCertificate(config.With(ctx, c.config), request)
}

func serveAuthority(authority ca.CertificateAuthority, issuers []string, ctURL string) string {
	accepted := map[string]any{}
	for _, url := range issuers {
		accepted[url] = map[string]any{"IssuerURL": url, "ClientID": "sigstore", "Type": "email"}
	}
	settings := must(config.Read(must(json.Marshal(map[string]any{"OIDCIssuers": accepted}))))
	algorithms := must(signature.NewAlgorithmRegistryConfig(
		[]protocommon.PublicKeyDetails{protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256}))
	ctLog := must(ctclient.New(ctURL, http.DefaultClient, jsonclient.Options{}))
	server := fulcioserver.NewGRPCCAServer(ctLog, authority, algorithms, fulcioserver.NewIssuerPool(settings))
	token := func(_ context.Context, request *http.Request) metadata.MD {
		bearer := strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")
		return metadata.Pairs(fulcioserver.MetadataOIDCTokenKey, bearer)
	}
	created := func(_ context.Context, w http.ResponseWriter, _ proto.Message) error {
		w.WriteHeader(http.StatusCreated)
		return nil
	}
	mux := runtime.NewServeMux(runtime.WithMetadata(token), runtime.WithForwardResponseOption(created))
	check(fulcio.RegisterCAHandlerServer(context.Background(), mux, configured{server, settings}))
	return serve(mux)
}

func serveCertificateLog(folder string, roots []*x509.Certificate) (string, crypto.PublicKey) {
	place := filepath.Join(folder, "certificates")
	check(os.MkdirAll(place, 0o700))
	accepted := filepath.Join(folder, "roots.pem")
	write(accepted, must(cryptoutils.MarshalCertificatesToPEM(roots)))
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	listener := must(net.Listen("tcp", host+":0"))
	create := func(ctx context.Context, signer note.Signer) (*storage.CTStorage, error) {
		options := tessera.NewAppendOptions().WithCheckpointSigner(signer).WithCTLayout().
			WithCheckpointInterval(interval).WithBatching(1, interval)
		appender, _, reader, err := tessera.NewAppender(ctx, must(posix.New(ctx, posix.Config{Path: place})), options)
		if err != nil {
			return nil, err
		}
		return storage.NewCTStorage(ctx, &storage.CTStorageOptions{
			Appender: appender, Reader: reader, IssuerStorage: must(issuers.NewIssuerStorage(ctx, place)),
		})
	}
	handler := must(tesseract.NewLogHandler(context.Background(), host, key,
		tesseract.ChainValidationConfig{RootsPEMFile: accepted}, create, 10*time.Second, false, "",
		tesseract.LogHandlerOpts{DedupRL: -1}))
	go func() { check(http.Serve(listener, handler)) }()
	return "http://" + listener.Addr().String(), key.Public()
}

func serveTimestamps() (string, []*x509.Certificate) {
	viper.Set("timestamp-signer", "memory")
	viper.Set("timestamp-signer-hash", "sha256")
	viper.Set("default-policy-oid", "1.3.6.1.4.1.57264.2")
	url := serve(timestamps.NewRestAPIServer(host, 0, nil, false, time.Minute, time.Minute).GetHandler())
	answer := must(http.Get(url + "/api/v1/timestamp/certchain"))
	defer answer.Body.Close()
	return url + "/api/v1/timestamp", must(cryptoutils.LoadCertificatesFromPEM(answer.Body))
}

func serveLog(folder string) (string, crypto.PublicKey) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	key := filepath.Join(folder, "log.pem")
	block := pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))}
	write(key, pem.EncodeToMemory(&block))
	port := freePort()
	os.Args = []string{
		"rekor-server", "serve", "--hostname", origin, "--signer-filepath", key,
		"--storage-dir", filepath.Join(folder, "log"), "--http-address", host, "--http-port", port,
		"--grpc-address", host, "--grpc-port", freePort(), "--http-metrics-port", freePort(),
		"--checkpoint-interval", interval.String(), "--batch-max-age", interval.String(), "--log-level", "warn",
	}
	go func() {
		rekor.Execute()
		log.Fatal("rekor ended")
	}()
	url := "http://" + net.JoinHostPort(host, port)
	for range 300 {
		if answer, err := http.Get(url + "/healthz"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return url, public
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	log.Fatal("rekor does not answer")
	return "", nil
}

func serve(handler http.Handler) string {
	listener := must(net.Listen("tcp", host+":0"))
	go func() { check(http.Serve(listener, handler)) }()
	return "http://" + listener.Addr().String()
}

func freePort() string {
	listener := must(net.Listen("tcp", host+":0"))
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

func validity() map[string]any {
	return map[string]any{"start": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}
}

func service(url string, version int) map[string]any {
	return map[string]any{"url": url, "majorApiVersion": version, "validFor": validity(), "operator": "aiconform.test"}
}

func instance(url string, key crypto.PublicKey, details string, id []byte) map[string]any {
	return map[string]any{
		"baseUrl":       url,
		"hashAlgorithm": "SHA2_256",
		"publicKey":     map[string]any{"rawBytes": der(key), "keyDetails": details, "validFor": validity()},
		"logId":         map[string]any{"keyId": id},
	}
}

func authorityOf(url string, chain []*x509.Certificate) map[string]any {
	certificates := []any{}
	for _, each := range chain {
		certificates = append(certificates, map[string]any{"rawBytes": each.Raw})
	}
	return map[string]any{
		"subject":   map[string]any{"organization": "aiconform.test", "commonName": chain[0].Subject.CommonName},
		"uri":       url,
		"certChain": map[string]any{"certificates": certificates},
		"validFor":  validity(),
	}
}

func der(key crypto.PublicKey) []byte {
	return must(x509.MarshalPKIXPublicKey(key))
}

func write(path string, data []byte) {
	check(os.WriteFile(path, data, 0o600))
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(fmt.Errorf("sigstore: %w", err))
	}
}
