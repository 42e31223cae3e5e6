// Package secret chooses between the secret of an app and the next one, while a person resets it in WeChat's console.
package secret

import "sync/atomic"

// Choice remembers which of two secrets WeChat accepts. The zero value begins with the current one. It is safe for concurrent use.
type Choice struct{ useNext atomic.Bool }

// Call makes a call with the secret that was accepted last. If refused reports that WeChat refuses it as wrong, it makes the call with
// the other one, which it remembers if that succeeds. If both are wrong, the result is the first refusal. Without a next
// secret it makes one call. switched reports whether another secret is in use now than before.
func (c *Choice) Call(current, next string, refused func(error) bool, call func(secret string) error) (switched bool, err error) {
	was := c.useNext.Load()
	first, second := current, next
	if was {
		first, second = next, current
	}
	if next == "" {
		first, second = current, ""
	}
	if err = call(first); second == "" || err == nil || !refused(err) {
		return false, err
	}
	if again := call(second); again == nil || !refused(again) {
		return again == nil && c.useNext.CompareAndSwap(was, !was), again
	}
	return false, err
}
