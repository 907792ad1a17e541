package serve

import (
	"runtime"
	"runtime/debug"
)

// Version returns the version of a module in this binary: that of Go for the
// empty name, and "devel" with the revision, if known, for a replaced module.
func Version(module string) string {
	if module == "" {
		return runtime.Version()
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path != module {
			continue
		}
		if dep.Replace == nil {
			return dep.Version
		}
		if v := dep.Replace.Version; v != "" && v != "(devel)" {
			return v
		}
		return "devel" + revision(info.Settings)
	}
	return "unknown"
}

func revision(settings []debug.BuildSetting) string {
	var rev, dirty string
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			rev = "+" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if rev == "" {
		return ""
	}
	return rev + dirty
}
