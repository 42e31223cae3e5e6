package token_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

func TestATokenFirstSeenLateInItsLifeIsNotServedBeyondItByAnyClock(t *testing.T) {
	for _, left := range []time.Duration{310 * time.Second, 420 * time.Second, 15 * time.Minute, 2 * time.Hour} {
		t.Run(left.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, got := newWorld(stable), &readStats{seen: map[string]bool{}}
				stranger := w.manager() // which has the same app, and another store
				stranger.Store = new(store.Memory)
				get(t, stranger)
				waitFor(2*time.Hour - left)
				all := w.cluster(15*time.Millisecond, 0)
				for _, m := range all {
					w.requireValid(t, get(t, m))
				}
				w.wx.AddFault(wechattest.Fault{Code: -1}) // so that the token is not replaced
				w.readThrough(t, all, got)
				require.Empty(t, got.dead)
				require.Positive(t, got.fails)
				require.Len(t, got.seen, 1)
			})
		})
	}
}

// A fetch late in the life of a token, as after an outage of WeChat, whose answer is lost: it may have ended the token.
func TestALostReplyLateInALifeLeavesNoDeadClassicTokenByAnyClock(t *testing.T) {
	for _, left := range []time.Duration{230, 180, 115, 90, 60, 30, 10, 3} {
		for _, gone := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d s, owner gone %t", left, gone), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, got := newWorld(classic), &readStats{seen: map[string]bool{}}
					all := w.cluster(200*time.Millisecond, 0)
					owner := w.manager()
					if !gone {
						owner = all[rand.N(len(all))]
					}
					get(t, owner)
					for _, m := range all {
						w.requireValid(t, get(t, m))
					}
					end := w.lastToken().Expires
					w.wx.AddFault(wechattest.Fault{Path: oldPath, Code: -1})
					go func() {
						waitFor(time.Until(end) - left*time.Second)
						w.wx.ClearFaults()
						w.wx.AddFault(wechattest.Fault{Path: oldPath, Cut: true, AfterWork: true, Times: 1})
					}()
					w.readThrough(t, all, got)
					require.Empty(t, got.dead)
					if left >= 60 { // otherwise the token may end before the last callers that failed ask again
						require.Zero(t, got.fails)
						require.Equal(t, 3, w.countTokens(oldPath)+w.countTokens(stablePath), "the first, the lost one, and the next")
					}
				})
			})
		}
	}
}
