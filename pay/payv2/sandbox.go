package payv2

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

// Sandbox is a simulation by WeChat, whose calls are signed with a key of its own and MD5.
type Sandbox string

// The sandboxes of WeChat Pay.
const (
	SandboxXDC Sandbox = "xdc"        // the present one, which has payment codes alone
	SandboxOld Sandbox = "sandboxnew" // the former one, in which the amount selects the outcome
)

// prefix returns what stands before the path of a call.
func (s Sandbox) prefix() string {
	switch s {
	case SandboxXDC:
		return "/xdc/apiv2sandbox"
	case SandboxOld:
		return "/sandboxnew"
	}
	return ""
}

// signing returns the keys and the algorithm of signatures. In a sandbox the key is downloaded once.
func (w *wire) signing(ctx context.Context) (signing, error) {
	if w.sandbox == "" {
		return signing{keys: w.keys, by: w.signType}, nil
	}
	if s, err := w.heldSigning(); err == nil {
		return s, nil
	}
	key, err := w.sandboxSignKey(ctx)
	if err != nil {
		return signing{}, err
	}
	w.sandboxKey.Store(&key)
	return signing{keys: []string{key}, by: MD5}, nil
}

// heldSigning is like signing, without a download.
func (w *wire) heldSigning() (signing, error) {
	if w.sandbox == "" {
		return signing{keys: w.keys, by: w.signType}, nil
	}
	key := w.sandboxKey.Load()
	if key == nil {
		return signing{}, errors.New("payv2: the sandbox's key is not known yet: make a call first")
	}
	return signing{keys: []string{*key}, by: MD5}, nil
}

// SandboxSignKey downloads the key of Config.Sandbox (getsignkey), by default that of SandboxXDC. A Merchant with a Sandbox does
// that itself.
func (m *Merchant) SandboxSignKey(ctx context.Context) (string, error) {
	return m.wire.sandboxSignKey(ctx)
}

func (w *wire) sandboxSignKey(ctx context.Context) (string, error) {
	path := "/xdc/apiv2getsignkey/sign/getsignkey"
	if w.sandbox == SandboxOld {
		path = "/sandboxnew/pay/getsignkey"
	}
	nonce, err := w.nonce()
	if err != nil {
		return "", err
	}
	live := &wire{base: w.base, backup: w.backup, http: w.http} // without a prefix
	r := &request{path: path, signed: signing{keys: w.keys, by: MD5}}
	r.fields.add("mch_id", w.mchID)
	r.fields.add("nonce_str", nonce)
	if r.body, err = r.fields.encode(MD5, w.keys[0]); err != nil {
		return "", err
	}
	answer, err := live.exchange(ctx, r)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(answer.get("sandbox_signkey"))
	if len(key) != 32 {
		return "", &pay.Error{Op: r.op(), Cause: pay.ErrUnknown, Err: fmt.Errorf("sandbox_signkey has %d bytes: want 32", len(key))}
	}
	return key, nil
}
