package netloop_test

import (
	"testing"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }
