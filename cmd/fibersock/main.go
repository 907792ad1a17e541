// Fibersock is the command-line companion of the library: a demonstration
// server with a web page, a client for terminals and pipes, tools that
// diagnose, measure and bridge connections, and a judge of other
// implementations.
//
//	fibersock serve [flags] [PORT | ADDRESS]
//	fibersock connect [flags] URL
//	fibersock replay [flags] FILE URL
//	fibersock check [flags] URL
//	fibersock bridge [flags] A B
//	fibersock bench [flags] URL
//	fibersock frame [flags] [BYTES...]
//	fibersock completion bash|zsh|fish
//	fibersock conform server|client|drive [flags] [URL]
//
// "fibersock help COMMAND" tells the flags and the exit codes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
)

func main() {
	ctx, interrupt := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	notifyHangup(signals)
	go func() {
		<-signals
		signal.Stop(signals) // a second one ends the process, from now on
		interrupt()          // in order
	}()
	ignoreBrokenPipes()
	os.Exit(int(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)))
}

// command is one subcommand. Its run gets the arguments after its name.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, args []string, std streams) exitCode
}

// commands returns the subcommands in the order of the help.
func commands() []command {
	return []command{
		{"serve", "serve an echo, a chat and a web page to try them", serve},
		{"connect", "connect to a server, from a terminal or in a pipe", connect},
		{"replay", "send the messages of a recorded connection again", replay},
		{"check", "open a connection, time its steps, and explain a failure", checkCommand},
		{"bridge", "connect TCP, unix sockets or pipes with WebSocket", bridgeCommand},
		{"bench", "load an echo server and measure its latency", benchCommand},
		{"frame", "explain bytes as WebSocket frames", frameCommand},
		{"conform", "judge another implementation, or be judged", conformCommand},
		{"completion", "write a script that completes commands in a shell", completionCommand},
		{"version", "print the version", version},
		{"help", "tell how a command is used", help},
	}
}

// run is the program without the process around it: it ends when the command
// does, which is soon after ctx is over.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) exitCode {
	return dispatch(ctx, args, newStreams(stdin, stdout, stderr))
}

// dispatch runs the command that args begin with.
func dispatch(ctx context.Context, args []string, std streams) exitCode {
	if len(args) == 0 {
		printUsage(std.err)
		return exitUsage
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, args[1:], std)
		}
	}
	if looksLikeURL(args[0]) {
		return connect(ctx, args, std)
	}
	fmt.Fprintf(std.err, "fibersock: there is no command %q%s\n\n", args[0], suggestCommand(args[0]))
	printUsage(std.err)
	return exitUsage
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "fibersock speaks WebSocket (RFC 6455).\n\nUsage: fibersock COMMAND [flags] [arguments]\n       fibersock [flags of connect] URL\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\n\"fibersock help COMMAND\" tells more.\n")
}

// help prints the usage of the command it is asked for, or of all in short.
func help(ctx context.Context, args []string, std streams) exitCode {
	if len(args) == 0 {
		printUsage(std.out)
		return exitOK
	}
	if args[0] == "help" {
		fmt.Fprint(std.out, "Usage: fibersock help [COMMAND]\n")
		return exitOK
	}
	return dispatch(ctx, append(slices.Clone(args), "-h"), std)
}

const versionUsage = `Usage: fibersock version [flags]

Prints the version of fibersock and of Go, and the system.
`

func versionFlags() (*flag.FlagSet, *bool) {
	flags := newFlags("version", versionUsage, "")
	return flags, flags.Bool("json", false, "write an object of JSON")
}

// version prints the build information of the Go toolchain.
func version(_ context.Context, args []string, std streams) exitCode {
	flags, asJSON := versionFlags()
	rest, err := parse(flags, args)
	if err == nil && len(rest) > 0 {
		err = usagef("version takes no arguments but flags, not %q", rest[0])
	}
	if code, ok := parsed(flags, std, err); !ok {
		return code
	}
	if *asJSON {
		err = writeJSONLine(std.out, map[string]string{"version": buildVersion(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	} else {
		_, err = fmt.Fprintf(std.out, "%s, %s, %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	}
	if err != nil {
		std.fail(err)
		return exitUsage
	}
	return exitOK
}

// buildVersion names this build.
func buildVersion() string {
	module, revision := "unknown version", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		module = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "fibersock " + module + revision
}
