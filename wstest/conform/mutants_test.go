package conform

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/wstest"
)

// The tests here show that the judge judges: the perfect peer gets the best verdict in all cases, one that does a
// legal thing in another way too, and a mutant, which does one thing wrong, is caught by the cases that are about
// that thing, with the verdict that the suite's rules give, and by no others.
//
// All of it is played in testing/synctest bubbles, over connections in memory: the waits of the cases cost no time,
// and no verdict depends on how fast the machine is.

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // sessions allocate much and retain little
	os.Exit(m.Run())
}

var bothRoles = []Role{Server, Client}

// A mutant is a testee with one fault, and the expected verdicts.
type mutant struct {
	name   string // the fault
	role   Role   // in which it can do it; "": both
	faults testeeFaults
	only   string // patterns of the cases that it is run in; "": cheapCases
	more   string // patterns of further cases that it is run in
	rounds int    // of cases with many messages; 0: fewer's
	caught []catch
}

// A catch has the verdicts of cases on a mutant. By default they are those on the perfect peer.
type catch struct {
	cases    string // patterns, with spaces between them
	except   string
	behavior Verdict
	close    Verdict
}

// The catches that most mutants have, of cases by patterns.
func bothFailed(cases string) catch { return catch{cases: cases, behavior: Failed, close: Failed} }
func failedUncleanly(cases string) catch {
	return catch{cases: cases, behavior: Failed, close: Unclean}
}
func miscoded(cases string) catch     { return catch{cases: cases, behavior: Failed, close: WrongCode} }
func misbehaved(cases string) catch   { return catch{cases: cases, behavior: Failed} }
func onlyMiscoded(cases string) catch { return catch{cases: cases, close: WrongCode} }
func unclean(cases string) catch      { return catch{cases: cases, close: Unclean} }
func leftOpen(cases string) catch     { return catch{cases: cases, close: FailedByClient} }

// echoes, pings and pongs return faults that answer a message, a Ping or a Pong
// by do.
func echoes(do func(s *testeeSession, opcode byte, payload []byte)) testeeFaults {
	return testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error { do(s, opcode, payload); return nil }}
}

func pings(do func(s *testeeSession, payload []byte)) testeeFaults {
	return testeeFaults{ping: func(s *testeeSession, payload []byte) error { do(s, payload); return nil }}
}

func pongs(do func(s *testeeSession, payload []byte)) testeeFaults {
	return testeeFaults{pong: func(s *testeeSession, payload []byte) error { do(s, payload); return nil }}
}

// cheapCases are the cases of little data.
const cheapCases = "1.* 2.* 3.* 4.* 5.* 6.* 7.* 10.*"

// The classes of cheapCases, by the event that the judge waits for and its reaction to a timeout. They are a partition.
const (
	// An echo; else the judge fails the connection with 1001.
	echoOrKilled = "1.* 6.5.* 6.6.2 6.6.5 6.6.7 6.6.9 6.6.11 6.7.* 6.9.* 6.11.1 6.11.2 6.11.3 6.11.4 6.22.* 6.23.* 7.1.1 10.1.1"
	// An echo; else the judge sends a Close without a code.
	echoOrClosed = "5.3 5.4 5.5 5.6 5.7 5.8 5.19 5.20 6.1.* 6.2.*"
	// An echo, or none, and that the peer fails the connection with 1002.
	echoThenFail = "3.2 3.3 3.4 4.1.3 4.1.4 4.1.5 4.2.3 4.2.4 4.2.5 5.15"
	// Pongs; else the judge sends a Close without a code.
	pongOrClosed = "2.1 2.2 2.3 2.4 2.6 2.9 2.10 2.11"
	// Nothing but the answer to a Close.
	closedAtOnce = "2.7 2.8 7.1.2 7.1.3 7.1.4 7.1.5 7.3.1 7.3.3 7.3.4 7.3.5 7.7.*"
	// That the peer fails the connection with 1002.
	badFrames = "2.5 3.1 3.5 3.6 3.7 4.1.1 4.1.2 4.2.1 4.2.2 5.1 5.2 5.9 5.10 5.11 5.12 5.13 5.14 5.16 5.17 5.18"
	// That the peer fails the connection with 1007.
	badText = "6.3.* 6.4.* 6.6.1 6.6.3 6.6.4 6.6.6 6.6.8 6.6.10 6.8.* 6.10.* 6.11.5 6.12.* 6.13.* 6.14.* 6.15.* 6.16.* " +
		"6.17.* 6.18.* 6.19.* 6.20.* 6.21.*"
	// An answer with 1002 to a Close that is illegal, or none.
	badCloses = "7.3.2 7.3.6 7.5.1 7.9.*"
	// Nothing in particular.
	noVerdict = "7.1.6 7.13.*"
)

// Those in which the closing handshake has to be clean, and those with an echo.
const (
	goodCloses = echoOrKilled + " " + echoOrClosed + " " + pongOrClosed + " " + closedAtOnce
	allEchoes  = echoOrKilled + " " + echoOrClosed + " " + echoThenFail
)

// casesOf returns the cases that the patterns choose; "" chooses none.
func casesOf(t *testing.T, patterns, except string) []*Case {
	t.Helper()
	if patterns == "" {
		return nil
	}
	key := [2]string{patterns, except}
	if known, ok := selections.Load(key); ok {
		return slices.Clone(known.([]*Case))
	}
	cases, err := Select(strings.Fields(patterns), strings.Fields(except))
	if err != nil {
		t.Fatal(err)
	}
	selections.Store(key, cases)
	return slices.Clone(cases)
}

// selections are the results of casesOf: most mutants share patterns.
var selections sync.Map

// roomy is the plan of connections whose writers do not block.
var roomy = wstest.Plan{ToServer: wstest.Faults{Buffer: 1 << 30}, ToClient: wstest.Faults{Buffer: 1 << 30}}

// judgeTestee runs cases against a testee, in a bubble of its own.
func judgeTestee(t *testing.T, peer *testee, role Role, cases []*Case, o Options) (results []*Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := wstest.Listen(func(int) wstest.Plan { return roomy })
		if role == Server {
			var listening sync.WaitGroup
			defer listening.Wait()
			defer ln.Close()
			listening.Go(func() { peer.listen(ln) })
			o.Dial = func(ctx context.Context) (net.Conn, error) { return ln.DialContext(ctx, "", "") }
			var err error
			results, err = JudgeServer(t.Context(), "ws://server.test:9001/", cases, o)
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		judge := &FuzzingServer{Cases: cases, Options: o}
		ctx, stop := context.WithCancel(t.Context())
		var serving sync.WaitGroup
		defer serving.Wait()
		defer stop()
		serving.Go(func() { judge.Serve(ctx, ln) })
		dial := func() (net.Conn, error) { return ln.Dial() }
		if err := peer.drive(ctx, dial, "testee", 32); err != nil {
			t.Fatal(err)
		}
		results = judge.Results()["testee"]
	})
	if len(results) != len(cases) {
		t.Fatalf("%d cases were run, and there are %d results", len(cases), len(results))
	}
	return results
}

// verdicts are both of a case.
type verdicts struct{ behavior, close Verdict }

func (v verdicts) String() string { return fmt.Sprintf("%s / %s", v.behavior, v.close) }

// perfect returns the best verdicts that there are in a case.
func perfect(t *testing.T, cases []*Case) map[string]verdicts {
	t.Helper()
	best := make(map[string]verdicts)
	for _, c := range cases {
		best[c.ID] = verdicts{OK, OK}
	}
	for _, c := range casesOf(t, noVerdict, "") {
		best[c.ID] = verdicts{Informational, Informational}
	}
	return best
}

// compareVerdicts reports every case with other verdicts than those wanted.
func compareVerdicts(t *testing.T, results []*Result, want map[string]verdicts) {
	t.Helper()
	for _, r := range results {
		if got := (verdicts{r.Behavior, r.BehaviorClose}); got != want[r.Case.ID] {
			t.Errorf("%s as a %s: %s, want %s (%s; %s)", r.Case.ID, r.Role, got, want[r.Case.ID], r.Why, r.WhyClose)
		}
	}
}

// Full runs the judge's own tests at the suite's full length. Without it a case of many messages has some of them.
var Full = flag.Bool("full", false, "play cases of many messages with all of them: takes a minute")

// fewer returns the Options of the judge's own tests.
func fewer() Options {
	if *Full {
		return Options{}
	}
	return Options{Rounds: 4}
}

// tooMuch returns the cases that the perfect peer is not run in: the largest messages, and with Full those compressed ones
// that are some 11 GB in each role. Each group, each way to send and each set of parameters is left.
func tooMuch() string {
	large := "12.*.8 12.*.9 12.*.10 12.*.13 12.*.14 12.*.15 12.*.16 12.*.17 12.*.18 " +
		"13.*.8 13.*.9 13.*.10 13.*.13 13.*.14 13.*.15 13.*.16 13.*.17 13.*.18 "
	if *Full {
		large += "12.*.6 12.*.7 12.*.12 13.*.6 13.*.7 13.*.12"
	} else {
		large += "9.1.4 9.1.5 9.1.6 9.2.4 9.2.5 9.2.6 9.3.1 9.3.2 9.3.3 9.3.4 9.3.6 9.3.7 9.4.1 9.4.2 9.4.3 9.4.4 9.4.6 9.4.7 9.4.8 9.4.9"
	}
	return large + tooMuchForRace
}

// tooMuchForRace are further cases that tooMuch returns under the race detector.
var tooMuchForRace string

// leftOut are the cases that mutants are not run in.
var leftOut string

func TestThePerfectPeerIsFoundPerfect(t *testing.T) {
	cases := casesOf(t, "*", tooMuch())
	for _, role := range bothRoles {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			compareVerdicts(t, judgeTestee(t, &testee{}, role, cases, fewer()), perfect(t, cases))
		})
	}
}

// mutants are all there are.
var mutants = [][]mutant{framingMutants, textMutants, controlMutants, closeMutants, handshakeMutants, compressionMutants}

func TestMutantsAreCaughtByTheCasesThatAreAboutTheirFault(t *testing.T) {
	for _, group := range mutants {
		testMutants(t, group)
	}
}

func TestLegalWaysAreNotCaught(t *testing.T) {
	testMutants(t, legalWays)
}

// Without a mutant that a case catches, one could not say that it catches anything. Of the cases that are only
// larger or longer than others, one is enough.
func TestEachCaseCatchesAMutant(t *testing.T) {
	catches := make(map[string]bool)
	for _, group := range mutants {
		for _, m := range group {
			run := idsOf(casesOf(t, cmp.Or(m.only, cheapCases)+" "+m.more, ""))
			for _, k := range m.caught {
				for id := range idsOf(casesOf(t, k.cases, k.except)) {
					if run[id] {
						catches[id] = true
						catches[groupOf(id)] = true
					}
				}
			}
		}
	}
	for id := range idsOf(casesOf(t, cheapCases, noVerdict)) {
		if !catches[id] {
			t.Errorf("%s catches no mutant", id)
		}
	}
	for id := range idsOf(casesOf(t, "9.* 12.* 13.*", "")) {
		if !catches[groupOf(id)] {
			t.Errorf("%s and the others of its group catch no mutant", id)
		}
	}
}

func idsOf(cases []*Case) map[string]bool {
	ids := make(map[string]bool)
	for _, c := range cases {
		ids[c.ID] = true
	}
	return ids
}

// groupOf returns the id without its last part.
func groupOf(id string) string { return id[:strings.LastIndex(id, ".")] }

// testMutants runs each in each of its roles.
func testMutants(t *testing.T, group []mutant) {
	for _, m := range group {
		for _, role := range bothRoles {
			if m.role == "" || m.role == role {
				t.Run(m.name+"/"+string(role), func(t *testing.T) {
					t.Parallel()
					m.test(t, role)
				})
			}
		}
	}
}

func (m *mutant) test(t *testing.T, role Role) {
	all := cmp.Or(m.only, cheapCases) + " " + m.more
	cases := casesOf(t, all, leftOut)
	if left := len(casesOf(t, all, "")) - len(cases); left > 0 {
		t.Logf("%d cases are left to the run without the race detector", left)
	}
	if len(cases) == 0 {
		return
	}
	want := perfect(t, cases)
	caught := make(map[string]bool)
	for _, k := range m.caught {
		for _, c := range casesOf(t, k.cases, k.except) {
			if _, isRun := want[c.ID]; !isRun {
				continue
			}
			want[c.ID] = verdicts{cmp.Or(k.behavior, want[c.ID].behavior), cmp.Or(k.close, want[c.ID].close)}
			caught[c.ID] = true
		}
	}
	if len(caught) == 0 && len(m.caught) > 0 && leftOut == "" {
		t.Fatal("no case is to catch it")
	}
	if !*Full {
		cases = withoutRepetition(cases, caught)
	}
	// One at a time, as a case that fails among others would run twice.
	o := fewer()
	o.Parallel, o.Rounds = 1, cmp.Or(m.rounds, o.Rounds)
	compareVerdicts(t, judgeTestee(t, &testee{m.faults}, role, cases, o), want)
}

// withoutRepetition returns cases without those that repeat others for a mutant:
// most of those of text, which are half of cheapCases, and the large messages of
// 9.4, which are those of 9.3 with another opcode. It leaves the cases of text
// that catch the mutant, and one of each group.
func withoutRepetition(cases []*Case, caught map[string]bool) []*Case {
	groups := make(map[string]bool)
	return slices.DeleteFunc(cases, func(c *Case) bool {
		first := !groups[groupOf(c.ID)]
		groups[groupOf(c.ID)] = true
		return strings.HasPrefix(c.ID, "6.") && !caught[c.ID] && !first || strings.HasPrefix(c.ID, "9.4.")
	})
}

func TestClassesOfCheapCasesAreAPartition(t *testing.T) {
	in := make(map[string]int)
	for _, class := range []string{echoOrKilled, echoOrClosed, echoThenFail, pongOrClosed, closedAtOnce, badFrames, badText, badCloses, noVerdict} {
		for _, c := range casesOf(t, class, "") {
			in[c.ID]++
		}
	}
	cheap := casesOf(t, cheapCases, "")
	for _, c := range cheap {
		if in[c.ID] != 1 {
			t.Errorf("%s is in %d classes", c.ID, in[c.ID])
		}
	}
	if len(in) != len(cheap) {
		t.Errorf("the classes have %d cases, of %d", len(in), len(cheap))
	}
}
