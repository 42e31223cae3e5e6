package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Records are JSON objects. The first format has no v; each later format has a v of its own, and reads all formats before
// it. Processes of two releases may share a store while one release replaces the other.

// errLater is the failure to read a record of a later format.
var errLater = errors.New("the record was written by a later release")

// decodeRecord reads a record into out, which stays as it is where the format is a later one.
func decodeRecord(raw []byte, out any) error {
	var format struct {
		V any `json:"v"`
	}
	err := json.Unmarshal(raw, &format)
	if err == nil && format.V != nil {
		return errLater
	}
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		return fmt.Errorf("invalid record: %w", err)
	}
	return nil
}
