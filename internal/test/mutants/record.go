package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// A record keeps outcomes in a file, so that an interrupted run can continue.
// Its first line identifies the package and its tests. Each further line has the
// number of a mutant and its outcome, or a test, its usage and the functions
// that it calls. A nil record keeps none.
type record struct {
	mu    sync.Mutex
	file  *os.File
	known map[int]outcome
	tests map[string]measured
}

// measured is the usage of a test, and the numbers of the first mutants of the
// functions that it calls.
type measured struct {
	usage
	called []int
}

// openRecord reads the file, or begins it anew if it is of another package. An
// empty name means none.
func openRecord(name, hash string) (*record, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	r := &record{file: file, known: map[int]outcome{}, tests: map[string]measured{}}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	if lines.Scan() && lines.Text() == hash {
		for lines.Scan() {
			var number int
			var o outcome
			if n, _ := fmt.Sscan(lines.Text(), &number, &o); n == 2 {
				r.known[number] = o
				continue
			}
			fields := strings.Fields(lines.Text())
			var m measured
			if _, err := fmt.Sscan(strings.Join(fields[1:3], " "), &m.cpu, &m.idle); err != nil {
				return nil, err
			}
			for _, field := range fields[3:] {
				n, err := strconv.Atoi(field)
				if err != nil {
					return nil, err
				}
				m.called = append(m.called, n)
			}
			r.tests[fields[0]] = m
		}
		_, err = file.Seek(0, io.SeekEnd)
		return r, errors.Join(err, lines.Err())
	}
	_, err = file.Seek(0, io.SeekStart)
	if err := errors.Join(lines.Err(), err, file.Truncate(0)); err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(file, hash)
	return r, err
}

// outcome returns the kept outcome of the mutant, or that of try, which it
// keeps.
func (r *record) outcome(number int, try func(int) (outcome, error)) (outcome, error) {
	if r == nil {
		return try(number)
	}
	r.mu.Lock()
	o, ok := r.known[number]
	r.mu.Unlock()
	if ok {
		return o, nil
	}
	o, err := try(number)
	if err != nil {
		return o, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err = fmt.Fprintln(r.file, number, int(o))
	return o, err
}

// test returns the kept measurement of a test, or that of measure, which it
// keeps.
func (r *record) test(name string, measure func() (measured, error)) (measured, error) {
	if r == nil {
		return measure()
	}
	if m, ok := r.tests[name]; ok {
		return m, nil
	}
	m, err := measure()
	if err == nil {
		_, err = fmt.Fprintln(r.file, name, int64(m.cpu), int64(m.idle), strings.Trim(fmt.Sprint(m.called), "[]"))
	}
	return m, err
}

func (r *record) close() {
	if r != nil {
		r.file.Close()
	}
}
