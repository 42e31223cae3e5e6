package once

import "strings"

// State is how far work is.
type State int

// The states of work.
const (
	Absent  State = iota // nobody does it, or its record has lapsed
	Running              // a process does it
	Waiting              // it is done, and its outcome waits to be taken: see Work.Replace
	Done                 // it is done
)

// Record is a state with its text: the mark of a claim, or an outcome.
type Record struct {
	State State
	Text  string
}

// words begin the value of a record. They are its version: a later format has other words.
var words = [...]string{Running: "run:", Waiting: "late:", Done: "done:"}

// parseRecord reads a value. One with an unknown word, of a later release, is Running: this process must neither do the
// work nor take its outcome.
func parseRecord(value []byte) Record {
	for state, word := range words {
		if text, ok := strings.CutPrefix(string(value), word); ok && word != "" {
			return Record{State: State(state), Text: text}
		}
	}
	return Record{State: Running}
}

// value returns the value of a record in the store, nil for Absent.
func (r Record) value() []byte {
	if r.State == Absent {
		return nil
	}
	return []byte(words[r.State] + r.Text)
}
