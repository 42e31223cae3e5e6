package once

import "strings"

// State is the state of work.
type State int

// The states of work.
const (
	Absent  State = iota // no record, or an expired one
	Running              // a process has claimed the work
	Waiting              // done, with an outcome that one request may take: see Work.Replace
	Done                 // done
)

// Record is a state with its text: the random id of a claim, or an outcome.
type Record struct {
	State State
	Text  string
}

// prefixes are the beginnings of record values by state. They are the version of the format: another format has other
// prefixes.
var prefixes = [...]string{Running: "run:", Waiting: "late:", Done: "done:"}

// parseRecord parses a value. A value with an unknown prefix is of a later release, and Running: this process must
// neither do the work nor take the outcome.
func parseRecord(value []byte) Record {
	for state, prefix := range prefixes {
		if text, ok := strings.CutPrefix(string(value), prefix); ok && prefix != "" {
			return Record{State: State(state), Text: text}
		}
	}
	return Record{State: Running}
}

// value returns the stored value of a record, nil for Absent.
func (r Record) value() []byte {
	if r.State == Absent {
		return nil
	}
	return []byte(prefixes[r.State] + r.Text)
}
