package main

import (
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/store"
)

// openStore opens the store that a URL names.
func openStore(url string) (store.Store, error) {
	scheme, _, _ := strings.Cut(url, ":")
	switch scheme {
	case "", "memory":
		return new(store.Memory), nil
	}
	return nil, fmt.Errorf("store: there is no kind of store %q", scheme)
}
