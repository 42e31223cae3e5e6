package shop

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"time"
)

// Sender sends a code to a mobile by SMS.
type Sender interface {
	Send(ctx context.Context, mobile, code string) error
}

const (
	codeLife  = 5 * time.Minute
	codeTries = 5 // wrong ones
)

// The limits of sending codes. People behind one address of a mobile network share the last two.
var (
	mobileGap     = limit{1, time.Minute}
	mobileDay     = limit{10, 24 * time.Hour}
	addressMinute = limit{5, time.Minute}
	addressDay    = limit{100, 24 * time.Hour}
)

var mobilePattern = regexp.MustCompile(`^1[3-9][0-9]{9}$`)

// sentCode is a code as it is stored, without the code.
type sentCode struct {
	Hash  []byte    `json:"hash"`
	Ends  time.Time `json:"ends"`
	Tries int       `json:"tries"`
}

// SendCode sends a code of 4 digits to a mobile, which replaces the one before. The address is that of the caller. The errors are
// ErrInvalid, ErrLimited and those of the Sender.
func (s *Shop) SendCode(ctx context.Context, mobile, address string) error {
	if !mobilePattern.MatchString(mobile) {
		return &FieldError{"mobile"}
	}
	for _, l := range []struct {
		key string
		limit
	}{
		{"sms/address-minute/" + network(address), addressMinute},
		{"sms/address-day/" + network(address), addressDay},
		{"sms/mobile-minute/" + mobile, mobileGap},
		{"sms/mobile-day/" + mobile, mobileDay},
	} {
		if err := s.allow(ctx, l.key, l.limit); err != nil {
			return err
		}
	}
	n, err := rand.Int(rand.Reader, big.NewInt(9000))
	if err != nil {
		return fmt.Errorf("shop: make code: %w", err)
	}
	code := fmt.Sprint(1000 + n.Int64()) // no zero comes first: clients send it as a number
	record, err := json.Marshal(sentCode{Hash: s.hashCode(mobile, code), Ends: now().Add(codeLife)})
	if err != nil {
		return fmt.Errorf("shop: encode code: %w", err)
	}
	if err := s.Shared.Set(ctx, codeKey(mobile), record, codeLife); err != nil {
		return fmt.Errorf("shop: store code: %w", err)
	}
	if err := s.Sender.Send(ctx, mobile, code); err != nil {
		return fmt.Errorf("%w: %w", ErrSend, err)
	}
	return nil
}

// redeemCode takes a code from the store, so that nobody else can redeem it. It returns ErrCode if the code is wrong or has ended.
func (s *Shop) redeemCode(ctx context.Context, mobile, code string) (sentCode, error) {
	for range 2 * codeTries {
		old, ok, err := s.Shared.Get(ctx, codeKey(mobile))
		if err != nil {
			return sentCode{}, fmt.Errorf("shop: read code: %w", err)
		}
		if !ok {
			return sentCode{}, ErrCode
		}
		var sent sentCode
		if err := json.Unmarshal(old, &sent); err != nil {
			return sentCode{}, fmt.Errorf("shop: read code: %w", err)
		}
		if sent.Tries >= codeTries || !now().Before(sent.Ends) {
			return sentCode{}, ErrCode
		}
		right, counted := hmac.Equal(sent.Hash, s.hashCode(mobile, code)), []byte(nil)
		if !right {
			sent.Tries++
			if counted, err = json.Marshal(sent); err != nil {
				return sentCode{}, fmt.Errorf("shop: encode code: %w", err)
			}
		}
		// The result is told only once the try is counted, so that tries at the same time are counted, too.
		swapped, err := s.Shared.Swap(ctx, codeKey(mobile), old, counted, -1)
		switch {
		case err != nil:
			return sentCode{}, fmt.Errorf("shop: redeem code: %w", err)
		case swapped && right:
			return sent, nil
		case swapped:
			return sentCode{}, ErrCode
		}
	}
	return sentCode{}, ErrCode // many others try now
}

// returnCode gives a redeemed code back for another try, unless a new one was sent.
func (s *Shop) returnCode(ctx context.Context, mobile string, c sentCode) error {
	c.Tries++
	rest := c.Ends.Sub(now())
	if c.Tries >= codeTries || rest <= 0 {
		return nil
	}
	record, err := json.Marshal(c)
	if err == nil {
		_, err = s.Shared.Swap(ctx, codeKey(mobile), nil, record, rest)
	}
	if err != nil {
		return fmt.Errorf("shop: return code: %w", err)
	}
	return nil
}

func codeKey(mobile string) string { return "shop/code/" + mobile }

func (s *Shop) hashCode(mobile, code string) []byte {
	h := hmac.New(sha256.New, []byte(s.Key))
	fmt.Fprintf(h, "code %s %s", mobile, code)
	return h.Sum(nil)
}
