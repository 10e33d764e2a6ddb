// Other people's transparency-log code against ours (tlog_tool, in C++): what we write they accept, what they write
// we accept, and what is altered both refuse. tlog_go_e2e.sh builds and runs it.
// Usage: tlog_go TLOG_TOOL DIRECTORY
//
//	tlog_go serve ADDRESS SEED NAME ORIGIN LOG_VKEY [CERT KEY]    their witness over HTTP or HTTPS, until it is killed;
//	                                                              SIGUSR1 closes its door, SIGUSR2 opens it again
package main

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"github.com/transparency-dev/witness/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "aqmesh/1/log/00112233445566778899aabbccddeeff"

var (
	tool   string
	claims int
)

func must[T any](v T, err error) T {
	if err != nil {
		fail("%v", err)
	}
	return v
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "FAILED: "+format+"\n", args...)
	os.Exit(1)
}

// claim counts what was shown; the first that does not hold ends the run.
func claim(ok bool, format string, args ...any) {
	if !ok {
		fail(format, args...)
	}
	claims++
}

func step(format string, args ...any) { fmt.Printf("== "+format+"\n", args...) }

// try runs our tool.
func try(stdin []byte, args ...string) (string, error) {
	c := exec.Command(tool, args...)
	c.Stdin = bytes.NewReader(stdin)
	out, err := c.Output()
	return string(out), err
}

func run(stdin []byte, args ...string) string {
	out, err := try(stdin, args...)
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			fail("%v: %v: %s", args, err, exit.Stderr)
		}
		fail("%v: %v", args, err)
	}
	return out
}

// ---- our log, read by them

type published struct {
	dir string
	v   note.Verifier
}

func grow(dir string, size int, more ...string) *published {
	run(nil, append([]string{"grow", dir, origin, strconv.Itoa(size)}, more...)...)
	return &published{dir, must(note.NewVerifier(run(nil, "vkey", origin, "1", "1")))}
}

func (p *published) raw() []byte { return must(os.ReadFile(filepath.Join(p.dir, "checkpoint"))) }

func (p *published) checkpoint() *log.Checkpoint {
	cp, rest, _, err := log.ParseCheckpoint(p.raw(), origin, p.v)
	if err != nil {
		fail("formats/log refuses our checkpoint: %v", err)
	}
	claim(len(rest) == 0, "formats/log sees more than a checkpoint: %q", rest)
	claim(bytes.HasPrefix(p.raw(), cp.Marshal()), "formats/log writes our checkpoint differently")
	return cp
}

// ReadTiles, Height and SaveTiles make it x/mod's TileReader. Its paths have the tile's height in them, C2SP's not.
func (p *published) Height() int { return 8 }
func (p *published) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		b, err := os.ReadFile(filepath.Join(p.dir, strings.Replace(t.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	return data, nil
}
func (p *published) SaveTiles([]tlog.Tile, [][]byte) {}

// entries reads the bundles of a log of that size and hashes them as RFC 6962 does.
func (p *published) entries(size uint64) (leaves [][]byte) {
	for n := uint64(0); n*256 < size; n++ {
		w := min(size-n*256, 256)
		t := tlog.Tile{H: 8, L: -1, N: int64(n), W: int(w)}
		path := strings.Replace(strings.Replace(t.Path(), "tile/8/", "tile/", 1), "/data/", "/entries/", 1)
		b := must(os.ReadFile(filepath.Join(p.dir, path)))
		for ; w > 0; w-- {
			length := int(binary.BigEndian.Uint16(b))
			leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(b[2:2+length]))
			b = b[2+length:]
		}
		claim(len(b) == 0, "%s has bytes behind its entries", path)
	}
	return leaves
}

func rootOf(leaves [][]byte) []byte {
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	r := factory.NewEmptyRange(0)
	for _, l := range leaves {
		if err := r.Append(l, nil); err != nil {
			fail("compact range: %v", err)
		}
	}
	root := must(r.GetRootHash(nil))
	if root == nil {
		return rfc6962.DefaultHasher.EmptyRoot()
	}
	return root
}

// proofLines reads the hashes of a tlog-proof or request between its head lines and the empty line.
func proofLines(text string) (hashes [][]byte) {
	head, _, _ := strings.Cut(text, "\n\n")
	for _, line := range strings.Split(head, "\n") {
		if !strings.Contains(line, " ") && !strings.HasPrefix(line, "c2sp.org") {
			hashes = append(hashes, must(base64.StdEncoding.DecodeString(line)))
		}
	}
	return hashes
}

func theyReadOurLog(dir string) {
	rng := rand.New(rand.NewSource(1))
	old := uint64(0)
	var oldRoot []byte
	for _, size := range []int{1, 2, 255, 256, 257, 700, 65537, 70000} {
		p := grow(dir, size)
		opened, err := note.Open(p.raw(), note.VerifierList(p.v))
		claim(err == nil && len(opened.Sigs) == 1, "sumdb/note refuses our checkpoint: %v", err)
		cp := p.checkpoint()
		claim(cp.Size == uint64(size), "size %d, not %d", cp.Size, size)
		leaves := p.entries(cp.Size)
		claim(bytes.Equal(rootOf(leaves), cp.Hash), "merkle/compact has another root at %d", size)
		// x/mod verifies every tile that it reads against the root.
		tree := tlog.Tree{N: int64(size), Hash: tlog.Hash(cp.Hash)}
		reader := tlog.TileHashReader(tree, p)
		for i := 0; i < 40; i++ {
			n := rng.Intn(size)
			h, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(n))})
			claim(err == nil && bytes.Equal(h[0][:], leaves[n]), "sumdb/tlog finds no record %d in our tiles: %v", n, err)
			text := run(nil, "prove", dir, strconv.Itoa(n))
			path := proofLines(text)
			err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(n), cp.Size, leaves[n], path, cp.Hash)
			claim(err == nil, "merkle/proof refuses our proof of %d in %d: %v", n, size, err)
			claim(strings.HasSuffix(text, "\n\n"+string(p.raw())), "the proof carries another checkpoint")
		}
		request := run(nil, "request", dir, strconv.FormatUint(old, 10))
		if old > 0 {
			err = proof.VerifyConsistency(rfc6962.DefaultHasher, old, cp.Size, proofLines(request), oldRoot, cp.Hash)
			claim(err == nil, "merkle/proof refuses our consistency %d to %d: %v", old, size, err)
		}
		old, oldRoot = cp.Size, cp.Hash
		for _, at := range []int{3, len(origin) + 2, len(p.raw()) - 10} {
			forged := bytes.Clone(p.raw())
			forged[at] ^= 1
			_, err := note.Open(forged, note.VerifierList(p.v))
			claim(err != nil, "sumdb/note takes a forged checkpoint")
		}
	}
}

// ---- their notes and proofs, read by us

func weReadTheirNotes() {
	skey, vkey, err := note.GenerateKey(crand.Reader, origin)
	signer := must(note.NewSigner(must(skey, err)))
	cosigner := must(fnote.NewSignerForCosignatureV1(run(nil, "skey", "example.com/w", "1", "7")))
	cosignerVkey := run(nil, "vkey", "example.com/w", "4", "7")
	pqSkey, _, err := fnote.GenerateMLDSAKey("example.com/pq")
	pq := must(fnote.NewSignerForCosignatureV1(must(pqSkey, err)))
	cp := log.Checkpoint{Origin: origin, Size: 5, Hash: rfc6962.DefaultHasher.EmptyRoot()}
	signed := must(note.Sign(&note.Note{Text: string(cp.Marshal())}, signer, pq, cosigner))
	out := run(signed, "open", vkey, cosignerVkey)
	claim(strings.HasPrefix(out, origin+" 0\nexample.com/w 1"), "we open their note as %q", out)
	_, err = try(signed, "open", run(nil, "vkey", origin, "1", "9"))
	claim(err != nil, "we take a note that nobody we know signed")
	for i := 0; i < len(signed); i += 7 {
		forged := bytes.Clone(signed)
		forged[i] ^= 1
		ours, err := try(forged, "open", vkey, cosignerVkey)
		_, theirs := note.Open(forged, note.VerifierList(must(note.NewVerifier(vkey)), cosigner.Verifier()))
		// We are stricter in one thing: base64 has one spelling. Where they refuse, we do.
		claim(theirs == nil || err != nil, "byte %d: they refuse (%v), we open it as %q", i, theirs, ours)
	}
	// The other way round: our keys and signatures, of both types, in their hands.
	ours := must(note.NewSigner(run(nil, "skey", origin, "1", "1")))
	claim(ours.KeyHash() == must(note.NewVerifier(run(nil, "vkey", origin, "1", "1"))).KeyHash(), "skey and vkey differ")
	claim(must(fnote.NewVerifierForCosignatureV1(cosignerVkey)).KeyHash() == cosigner.KeyHash(), "cosigner's id differs")
}

type proofCase struct {
	a, b        uint64
	first, root []byte
	hashes      [][]byte
}

func (c proofCase) line() string {
	words := []string{fmt.Sprint(c.a), fmt.Sprint(c.b), hexOf(c.first), hexOf(c.root)}
	for _, h := range c.hashes {
		words = append(words, hexOf(h))
	}
	return strings.Join(words, " ")
}

func hexOf(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return hex.EncodeToString(b)
}

// forgeries: the case itself, and what could be tried with it.
func (c proofCase) forgeries(rng *rand.Rand) []proofCase {
	all := []proofCase{c}
	add := func(change func(*proofCase)) {
		f := c
		f.hashes = append([][]byte(nil), c.hashes...)
		change(&f)
		all = append(all, f)
	}
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[rng.Intn(len(b))] ^= 1 << rng.Intn(8)
		return b
	}
	add(func(f *proofCase) { f.a++ })
	add(func(f *proofCase) { f.a ^= 2 })
	add(func(f *proofCase) { f.b++ })
	add(func(f *proofCase) { f.b *= 2 })
	add(func(f *proofCase) { f.first = flip(f.first) })
	add(func(f *proofCase) { f.root = flip(f.root) })
	add(func(f *proofCase) { f.first, f.root = f.root, f.first })
	add(func(f *proofCase) { f.first, f.hashes = f.root, nil })
	add(func(f *proofCase) { f.hashes = append(f.hashes, f.root) })
	add(func(f *proofCase) { f.hashes = append([][]byte{f.first}, f.hashes...) })
	if n := len(c.hashes); n > 0 {
		add(func(f *proofCase) { i := rng.Intn(n); f.hashes[i] = flip(f.hashes[i]) })
		add(func(f *proofCase) { f.hashes = f.hashes[1:] })
		add(func(f *proofCase) { f.hashes = f.hashes[:n-1] })
		add(func(f *proofCase) { f.hashes[0] = nil })
		add(func(f *proofCase) { f.hashes[n-1] = f.hashes[n-1][:31] })
	}
	return all
}

// agree: our verdicts on these are theirs.
func agree(kind string, cases []proofCase, theirs func(proofCase) error) {
	var in strings.Builder
	for _, c := range cases {
		in.WriteString(c.line() + "\n")
	}
	verdicts := strings.Fields(run([]byte(in.String()), kind))
	claim(len(verdicts) == len(cases), "%d verdicts on %d cases", len(verdicts), len(cases))
	held := 0
	for i, c := range cases {
		err := theirs(c)
		claim((err == nil) == (verdicts[i] == "ok"), "%s %s: we say %s, they %v", kind, c.line(), verdicts[i], err)
		if err == nil {
			held++
		}
	}
	fmt.Printf("   %s: %d cases, %d of them hold, one verdict each\n", kind, len(cases), held)
}

func bothJudgeProofs() {
	rng := rand.New(rand.NewSource(2))
	const size = 100
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for n := int64(0); n < size; n++ {
		stored = append(stored, must(tlog.StoredHashes(n, fmt.Appendf(nil, "leaf %d", n), reader))...)
	}
	list := func(p []tlog.Hash) (out [][]byte) {
		for _, h := range p {
			out = append(out, bytes.Clone(h[:]))
		}
		return out
	}
	var inclusions, consistencies []proofCase
	for n := int64(1); n <= size; n++ {
		root := must(tlog.TreeHash(n, reader))
		for m := int64(0); m < n; m++ {
			leaf := tlog.RecordHash(fmt.Appendf(nil, "leaf %d", m))
			path := list(must(tlog.ProveRecord(n, m, reader)))
			c := proofCase{uint64(m), uint64(n), leaf[:], root[:], path}
			inclusions = append(inclusions, c.forgeries(rng)...)
			old := must(tlog.TreeHash(m+1, reader))
			c = proofCase{uint64(m + 1), uint64(n), old[:], root[:], list(must(tlog.ProveTree(n, m+1, reader)))}
			consistencies = append(consistencies, c.forgeries(rng)...)
		}
	}
	agree("inclusion", inclusions, func(c proofCase) error {
		return proof.VerifyInclusion(rfc6962.DefaultHasher, c.a, c.b, c.first, c.hashes, c.root)
	})
	agree("consistency", consistencies, func(c proofCase) error {
		if c.a == 0 {
			return fmt.Errorf("from nothing: refused here, the witness layer knows it")
		}
		return proof.VerifyConsistency(rfc6962.DefaultHasher, c.a, c.b, c.hashes, c.first, c.root)
	})
}

// ---- their witness and our log

type theirWitness struct {
	handler *witness.HTTPHandler
	vkey    string
}

func newTheirWitness(logVerifier note.Verifier) *theirWitness {
	skey := run(nil, "skey", "example.com/their-witness", "1", "33")
	handler := handlerOf(skey, origin, logVerifier)
	return &theirWitness{handler, run(nil, "vkey", "example.com/their-witness", "4", "33")}
}

func handlerOf(skey, origin string, logVerifier note.Verifier) *witness.HTTPHandler {
	return witness.NewHTTPHandler(must(witness.New(context.Background(), witness.Opts{
		Persistence: inmemory.New(),
		Signers:     []note.Signer{must(fnote.NewSignerForCosignatureV1(skey))},
		VerifierForLog: func(_ context.Context, o string) (note.Verifier, bool, error) {
			return logVerifier, o == origin, nil
		},
	})))
}

// serve is their witness for witness_e2e.sh. What it has cosigned outlives a closed door.
func serve(args []string) {
	address, seed, name, origin, vkey := args[0], args[1], args[2], args[3], args[4]
	handler := handlerOf(run(nil, "skey", name, "1", seed), origin, must(note.NewVerifier(vkey)))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /prefix/add-checkpoint", handler.AddCheckpoint)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	open := func() *http.Server {
		server := &http.Server{Handler: mux}
		listener := must(net.Listen("tcp", address))
		go func() {
			var err error
			if len(args) > 6 {
				err = server.ServeTLS(listener, args[5], args[6])
			} else {
				err = server.Serve(listener)
			}
			if err != http.ErrServerClosed {
				fail("%v", err)
			}
		}()
		return server
	}
	server := open()
	for s := range signals {
		server.Close()
		if s == syscall.SIGUSR2 {
			server = open()
		}
	}
}

func (w *theirWitness) ask(body string) (int, string, string) {
	r := httptest.NewRecorder()
	w.handler.AddCheckpoint(r, httptest.NewRequest(http.MethodPost, "/add-checkpoint", strings.NewReader(body)))
	return r.Code, r.Header().Get("Content-Type"), r.Body.String()
}

func theirWitnessCosignsUs(dir string) {
	real, forked, split := filepath.Join(dir, "log"), filepath.Join(dir, "forked"), filepath.Join(dir, "split")
	p := grow(real, 1)
	w := newTheirWitness(p.v)
	cosigner := must(fnote.NewVerifierForCosignatureV1(w.vkey))
	old := 0
	for _, size := range []int{1, 3, 256, 257, 1000, 1024} {
		grow(real, size)
		code, _, answer := w.ask(run(nil, "request", real, strconv.Itoa(old)))
		claim(code == 200, "their witness answers %d to growth from %d to %d", code, old, size)
		before := p.raw()
		claim(run([]byte(answer), "take", real, w.vkey) == "1\n", "we refuse their cosignature")
		// What we now publish they open with both keys, and we too.
		n, err := note.Open(p.raw(), note.VerifierList(p.v, cosigner))
		claim(err == nil && len(n.Sigs) == 2, "they refuse what we made of it: %v", err)
		claim(bytes.HasPrefix(p.raw(), before), "taking a cosignature changed the rest")
		out := run(p.raw(), "open", w.vkey)
		claim(strings.HasPrefix(out, "example.com/their-witness 1"), "we open it as %q", out)
		renamed := strings.Replace(answer, "their-witness", "her-witness", 1)
		claim(run([]byte(renamed), "take", real, run(nil, "vkey", "example.com/her-witness", "4", "33")) == "0\n",
			"we take a cosignature under another name")
		old = size
	}
	code, kind, answer := w.ask(run(nil, "request", real, "0"))
	claim(code == 409 && kind == "text/x.tlog.size" && answer == "1024\n", "unknown old size: %d %q %q", code, kind, answer)

	// A copy whose last record differs and that then goes on: same size and grown, both refused.
	grow(forked, 1024, "fork")
	code, _, answer = w.ask(run(nil, "request", forked, "1024"))
	claim(code != 200 && !strings.Contains(answer, "\u2014"), "their witness cosigns a second head of 1024: %d", code)
	grow(split, 1023)
	grow(split, 1024, "fork")
	grow(split, 1500)
	code, _, answer = w.ask(run(nil, "request", split, "1024"))
	claim(code == 422 && answer == "", "their witness cosigns our forked copy: %d", code)
	// And the true log goes on.
	grow(real, 1500)
	code, _, _ = w.ask(run(nil, "request", real, "1024"))
	claim(code == 200, "after the fork their witness refuses the log itself: %d", code)
}

// ---- our witness and their log

func ourWitnessCosignsThem(dir string) {
	skey, vkey, err := note.GenerateKey(crand.Reader, "example.com/their-log")
	signer := must(note.NewSigner(must(skey, err)))
	ourVkey := run(nil, "vkey", "our-witness", "4", "44")
	ours := must(fnote.NewVerifierForCosignatureV1(ourVkey))
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	size := int64(0)
	head := func() []byte {
		root := must(tlog.TreeHash(size, reader))
		cp := log.Checkpoint{Origin: "example.com/their-log", Size: uint64(size), Hash: root[:]}
		return must(note.Sign(&note.Note{Text: string(cp.Marshal())}, signer))
	}
	clock := 1_700_000_000
	ask := func(body string) (string, string) {
		clock++
		status, rest, _ := strings.Cut(
			run([]byte(body), "witness", dir, "example.com/their-log", vkey, "our-witness", "44", strconv.Itoa(clock)), "\n")
		return status, rest
	}
	request := func(old int64, cp []byte) string {
		body := fmt.Sprintf("old %d\n", old)
		if old > 0 {
			for _, h := range must(tlog.ProveTree(size, old, reader)) {
				body += h.String() + "\n"
			}
		}
		return body + "\n" + string(cp)
	}
	old := int64(0)
	var last []byte
	for _, grown := range []int64{1, 2, 5, 64, 65, 300} {
		for ; size < grown; size++ {
			stored = append(stored, must(tlog.StoredHashes(size, fmt.Appendf(nil, "theirs %d", size), reader))...)
		}
		last = head()
		status, answer := ask(request(old, last))
		claim(status == "200 ", "our witness answers %q to their log", status)
		n, err := note.Open(append(bytes.Clone(last), answer...), note.VerifierList(ours, must(note.NewVerifier(vkey))))
		claim(err == nil && len(n.Sigs) == 2, "they refuse our cosignature: %v", err)
		at := must(fnote.CoSigV1Timestamp(n.Sigs[1]))
		claim(at.Unix() == int64(clock), "our cosignature is of %v", at)
		old = grown
	}
	status, answer := ask(request(5, last))
	claim(status == "409 text/x.tlog.size" && answer == "300\n", "%q %q", status, answer)
	fork := sha256.Sum256([]byte("another root"))
	cp := log.Checkpoint{Origin: "example.com/their-log", Size: 300, Hash: fork[:]}
	status, _ = ask(request(300, must(note.Sign(&note.Note{Text: string(cp.Marshal())}, signer))))
	claim(status == "422 ", "our witness on a second head: %q", status)
}

func main() {
	if os.Args[1] == "serve" {
		tool = os.Getenv("TLOG_TOOL")
		serve(os.Args[2:])
		return
	}
	tool = os.Args[1]
	dir := os.Args[2]
	step("our checkpoints, tiles, bundles and proofs, read by sumdb/note, sumdb/tlog, formats/log and merkle")
	theyReadOurLog(filepath.Join(dir, "read"))
	step("their notes, cosignatures and keys, read by us")
	weReadTheirNotes()
	step("proofs by sumdb/tlog, and forgeries of them, judged by merkle/proof and by us")
	bothJudgeProofs()
	step("their witness and our log")
	theirWitnessCosignsUs(filepath.Join(dir, "witness"))
	step("our witness and their log")
	ourWitnessCosignsThem(filepath.Join(dir, "ours"))
	fmt.Printf("all %d claims held\n", claims)
}
