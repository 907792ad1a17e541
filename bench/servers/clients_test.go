package servers_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

func TestClientsMeasureAsRequested(t *testing.T) {
	url := "ws://" + start(t, "minimal-go").Listening + "/"
	for _, name := range []string{"gorilla", "coder", "gobwas", "gws", "xnet", "fibersock"} {
		for _, args := range []string{"-size 125", "-size 125 -text", "-size 0", "-size 65536 -text", "-size 1048576"} {
			t.Run(name+" "+args, func(t *testing.T) {
				var got struct {
					Name, Module, Version string
					Messages, Size        int
					UserNS                int64 `json:"user_ns"`
					SysNS                 int64 `json:"sys_ns"`
					Mallocs               *uint64
					AllocBytes            *uint64 `json:"alloc_bytes"`
				}
				args := append([]string{"-url", url, "-n", "30"}, strings.Fields(args)...)
				out, err := exec.Command(binaries.clients+name, args...).Output()
				if err != nil {
					t.Fatalf("%v: %v", args, err)
				}
				if err := json.Unmarshal(out, &got); err != nil {
					t.Fatalf("%s: %v", out, err)
				}
				if got.Name != name || got.Messages != 30 || got.UserNS+got.SysNS <= 0 || got.Mallocs == nil || got.AllocBytes == nil {
					t.Errorf("%s", out)
				}
				if want := versionInGoMod(t, got.Module); name != "fibersock" && got.Version != want {
					t.Errorf("module %q, version %q, want %q", got.Module, got.Version, want)
				}
			})
		}
	}
}
