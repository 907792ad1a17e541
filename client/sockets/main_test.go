package sockets_test

import (
	"testing"

	"github.com/fibersock/fibersock/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }
