package loopback

import (
	"fmt"
	"math/rand/v2"
)

// All addresses from 127.0.0.0 on are of the loopback interface.
func address() string {
	return fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}
