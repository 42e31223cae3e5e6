package paytest

import "time"

// NotificationFault is a failure of notifications.
type NotificationFault struct {
	MchID string `json:"mchid"`      // only those to this merchant; empty: to any
	Event string `json:"event_type"` // only of this event; empty: of any
	Times int    `json:"times"`      // how many notifications; 0: until Heal

	Lost     int           `json:"lost"`     // so many first attempts never arrive
	Delay    time.Duration `json:"-"`        // wait before the first attempt; long enough, others overtake it
	Copies   int           `json:"copies"`   // so many more of the same, each with its own retries
	Apart    time.Duration `json:"-"`        // time between the copies; 0: all at once
	Sign     Signing       `json:"sign"`     // how the first attempts are signed
	Attempts int           `json:"attempts"` // how many attempts Sign is for; default 1
}

// AddNotificationFault makes notifications fail that are sent from now on. Of several faults that match a notification the
// one added first is applied, until its Times are used up.
func (s *Server) AddNotificationFault(f NotificationFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disturbed = append(s.disturbed, &f)
}

// disturbance returns the fault due for a notification and uses up one of its times.
func (s *Server) disturbance(mchID, event string) NotificationFault {
	for i, f := range s.disturbed {
		if f.MchID != "" && f.MchID != mchID || f.Event != "" && f.Event != event {
			continue
		}
		found := *f
		if f.Times == 1 {
			s.disturbed = append(s.disturbed[:i:i], s.disturbed[i+1:]...)
		} else if f.Times > 1 {
			f.Times--
		}
		return found
	}
	return NotificationFault{}
}
