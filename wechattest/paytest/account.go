package paytest

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"time"
)

// account is a merchant or sub-merchant with its orders, refunds and transfers.
type account struct {
	settings Merchant // as AddMerchant returned it
	id       string
	name     string
	appIDs   []string
	balance  int64
	apiV3Key string
	apiKey   string // of v2

	key      *rsa.PrivateKey // nil: a sub-merchant
	serialNo string
	expires  time.Time           // the API certificate's end
	leaf     []byte              // the API certificate in DER
	subs     map[string]*account // by mchid; nil: no provider

	mode    Mode
	percent float64
	counted float64 // notifications sent while switching
	public  *signingKey
	certs   []*signingKey // in the order they were made

	orders       map[string]*order // by out_trade_no
	transactions map[string]*order // by transaction_id
	combined     map[string]*combined
	refunds      map[string]*refund // by out_refund_no
	refundIDs    map[string]*refund
	transfers    map[string]*transfer
	transferIDs  map[string]*transfer
	days         map[string][]*billRow // by date
	ownBills     map[string]Bill
	sharing      sharing
	complaints   complaints
	v2Transfers  map[string]*gift // by partner_trade_no
	packets      map[string]*gift // by mch_billno
	sandboxes    map[sandboxKind]*account
}

func newAccount(id string) *account {
	return &account{
		id:           id,
		orders:       make(map[string]*order),
		transactions: make(map[string]*order),
		combined:     make(map[string]*combined),
		refunds:      make(map[string]*refund),
		refundIDs:    make(map[string]*refund),
		transfers:    make(map[string]*transfer),
		transferIDs:  make(map[string]*transfer),
		days:         make(map[string][]*billRow),
		ownBills:     make(map[string]Bill),
		v2Transfers:  make(map[string]*gift),
		packets:      make(map[string]*gift),
	}
}

// merchant finds an account that has keys.
func (s *Server) merchant(mchID string) (*account, error) {
	a := s.accounts[mchID]
	if a == nil || a.key == nil {
		return nil, fmt.Errorf("paytest: no merchant %q with keys", mchID)
	}
	return a, nil
}

// takes reports whether an appid is bound to the account.
func (a *account) takes(appID string) bool {
	return appID != "" && (len(a.appIDs) == 0 || slices.Contains(a.appIDs, appID))
}

// cert returns the platform certificate that signs now, or nil.
func (a *account) cert(now time.Time) (found *signingKey) {
	for _, k := range a.certs {
		if !now.Before(k.used) && now.Before(k.until) && (found == nil || !k.used.Before(found.used)) {
			found = k
		}
	}
	return found
}

// listed returns the certificates that /v3/certificates lists now.
func (a *account) listed(now time.Time) (list []*signingKey) {
	if a.mode == PublicKey {
		return nil
	}
	for _, k := range a.certs {
		if now.Before(k.until) && (k.withdrawn.IsZero() || now.Before(k.withdrawn)) {
			list = append(list, k)
		}
	}
	return list
}

// answerKey returns the key that signs the answer to a call with this Wechatpay-Serial.
func (a *account) answerKey(serial string, now time.Time) *signingKey {
	cert := a.cert(now)
	if a.mode == PublicKey || a.mode == Switched || cert == nil || a.mode == Switching && serial == a.public.id {
		return a.public
	}
	return cert
}

// notificationKey returns the key that signs the next notification.
func (a *account) notificationKey(now time.Time) *signingKey {
	if a.mode == Switching {
		before := int64(a.counted * a.percent / 100)
		a.counted++
		if int64(a.counted*a.percent/100) > before {
			return a.public
		}
	}
	return a.answerKey("", now)
}

// fieldKey returns the key that sensitive fields under this Wechatpay-Serial are encrypted for, or nil.
func (a *account) fieldKey(serial string, now time.Time) *signingKey {
	if strings.EqualFold(serial, a.public.id) && a.mode != Certificates {
		return a.public
	}
	for _, k := range a.listed(now) {
		if strings.EqualFold(serial, k.id) {
			return k
		}
	}
	return nil
}

// payee returns the account that a call is for: the caller itself, or one of its sub-merchants.
func (s *Server) payee(c *call, partner bool, mchID, subMchID string) (payee *account, a answer, ok bool) {
	switch {
	case mchID == "" && partner:
		return nil, missing("sp_mchid"), false
	case mchID == "":
		return nil, missing("mchid"), false
	case !partner && c.from.subs != nil:
		return nil, refuse("PARAM_ERROR", "受理机构必须传入sub_mch_id"), false
	case !partner:
		return c.from, a, true
	case subMchID == "":
		return nil, refuse("PARAM_ERROR", "受理机构必须传入sub_mch_id"), false
	}
	if payee = c.from.subs[subMchID]; payee == nil {
		return nil, refuse("NO_AUTH", "特约商户"+subMchID+"未授权当前服务商"), false
	}
	return payee, a, true
}
