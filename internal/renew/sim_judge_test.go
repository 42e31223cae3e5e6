package renew_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/wechat"
)

// maxOutage is how long a trouble of WeChat may cause failures after its end: a call that began in it may take 8 s, and is
// followed by a wait of 20 s.
const maxOutage = 30 * time.Second

// judgeError notes a failure that has no cause outside.
func (s *simulation) judgeError(p *process, op string, asked time.Time, err error) {
	s.logf("%s: %s fails after %s: %v", p.name, op, time.Since(asked), err)
	if s.wx.troubled(asked.Add(-maxOutage), time.Now()) {
		return
	}
	if op == "Renew" && errors.Is(err, context.DeadlineExceeded) && len(s.outages) > 0 {
		return // a slow store used up the time
	}
	if op == "Renew" && (errors.Is(err, errFull) || errors.Is(err, errDown) || errors.Is(err, renew.ErrRationed) || errors.Is(err, renew.ErrStillRefused)) {
		return
	}
	s.fault("%s: %s fails although WeChat answers: %v", p.name, op, err)
}

// judgeDead notes a dead value that the process could have known to be dead.
func (s *simulation) judgeDead(p *process, asked time.Time, c wechat.Credential) {
	i, now := s.wx.find(c.Value), time.Now()
	why := fmt.Sprintf("%s: hands out %s, which is dead since %s (expires %s)", p.name, c.Value, now.Sub(i.ended), now.Sub(i.expires))
	s.logf("%s", why)
	for _, o := range s.outages {
		if now.After(o.from) && now.Before(o.to.Add(5*time.Second)) {
			return // the process could not read it
		}
	}
	s.mu.Lock()
	replaced := s.replacedAt[c.Value]
	s.mu.Unlock()
	if asked.Before(i.ended) && now.Sub(asked) < time.Second {
		return // it ended while it was handed out
	}
	if s.wx.mode == workMode && now.Sub(i.expires) < 1100*time.Millisecond {
		return // WeChat answers lives in whole seconds
	}
	if s.forced(i) && (replaced.IsZero() || now.Sub(replaced) < 3500*time.Millisecond) {
		return
	}
	s.fault("dead: %s", why)
}

// forced reports whether a value was ended by something that other processes hear of only in time: WeChat for no known reason, or
// a forced refresh.
func (s *simulation) forced(i issued) bool {
	return i.spoiled || s.wx.mode == stableMode && !i.ended.IsZero() && time.Now().Before(i.expires)
}

func (s *simulation) fault(format string, args ...any) {
	s.logf("FAULT: "+format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.found[format] { // one of a kind tells enough
		s.found[format] = true
		s.faults = append(s.faults, fmt.Sprintf("%s: ", time.Since(s.start).Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

func (s *simulation) logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story = append(s.story, fmt.Sprintf("%12s ", time.Since(s.start).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// verify checks what holds over the whole run.
func (s *simulation) verify() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, at := range s.wx.forced {
		if i > 0 && at.Sub(s.wx.forced[i-1]) < forceGap && len(s.flushes)+len(s.outages)+len(s.wx.troubles) == 0 { // else one may come late
			s.faults = append(s.faults, fmt.Sprintf("a refresh is forced %s after another", at.Sub(s.wx.forced[i-1])))
		}
	}
	if len(s.wx.forced) > forcesDay {
		s.faults = append(s.faults, fmt.Sprintf("%d refreshes are forced", len(s.wx.forced)))
	}
	calls := s.wx.calls["token"] + s.wx.calls["stable_token"] + s.wx.calls["gettoken"]
	causes := 2 + 2*s.wx.unknown + s.renewed + 6*len(s.outages) + 2*len(s.flushes) + len(s.kills)
	if calls > causes {
		s.faults = append(s.faults, fmt.Sprintf("%d calls where there were %d causes", calls, causes))
	}
	return s.faults
}
