package load

import "time"

// stage is a part of a run's time.
type stage uint8

const (
	waiting   stage = iota // connections are not all open
	warming                // unmeasured
	measuring              // between Start and Stop
	finished               // nothing is sent any more
)

// meter counts during the Duration, and calls the hooks at both ends of it.
type meter struct {
	run *run

	stage        stage
	from         time.Duration // begin of the measurement
	until        time.Duration // end of the stage
	user, system time.Duration // used when it began
}

// begin begins the warm-up.
func (m *meter) begin(now time.Duration) {
	m.stage, m.until = warming, now+m.run.Warmup
}

// tick enters the next stage when it is due, and reports whether the
// measurement has ended.
func (m *meter) tick(now time.Duration) (finishedNow bool) {
	if now < m.until {
		return false
	}
	switch m.stage {
	case warming:
		if m.run.Start != nil {
			m.run.Start()
		}
		m.stage = measuring
		m.user, m.system = m.run.usage()
		m.from = m.run.now()
		m.until = m.from + m.run.Duration
	case measuring:
		m.finish(now)
		return true
	case waiting, finished:
	}
	return false
}

func (m *meter) finish(now time.Duration) {
	r := &m.run.result
	user, system := m.run.usage()
	if m.run.Stop != nil {
		m.run.Stop()
	}
	m.stage = finished
	r.Elapsed = now - m.from
	r.ClientUser, r.ClientSystem = user-m.user, system-m.system
	r.ClientCPU = r.ClientUser + r.ClientSystem
}

// count counts n replies, or deliveries, of size payload bytes each.
func (m *meter) count(n, size int) {
	m.run.result.Messages += int64(n)
	m.run.result.Bytes += int64(n) * int64(size)
}

// latency records the time since begun, if that is within the measurement.
func (m *meter) latency(begun, now time.Duration) {
	if begun >= m.from {
		m.run.result.Latency.Record(now - begun)
	}
}
