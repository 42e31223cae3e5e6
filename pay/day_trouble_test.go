package pay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// changeKeys rotates a platform certificate, changes one merchant to the public key, and changes the other's APIv3 key.
func (d *day) changeKeys() {
	first, second := d.accounts[0], d.accounts[1]
	d.at(5 * time.Hour)
	_, err := d.server.RotateCertificate(first.shown.MchID, 2*time.Hour)
	require.NoError(d.t, err)
	d.at(7 * time.Hour)
	d.learnKeys()

	next := strings.Repeat("k", 32)
	d.change(func() { first.publicKey, second.key, second.old = true, next, second.key })
	for i := range d.processes {
		d.at(9*time.Hour + time.Duration(i)*20*time.Minute)
		d.change(func() { d.deploy(i) })
	}
	d.at(10 * time.Hour)
	require.NoError(d.t, d.server.SetMode(first.shown.MchID, paytest.Switching, 50))
	d.at(11 * time.Hour)
	require.NoError(d.t, d.server.SetAPIv3Key(second.shown.MchID, next))
	d.at(13 * time.Hour)
	require.NoError(d.t, d.server.SetMode(first.shown.MchID, paytest.Switched, 0))
}

// change calls do while nothing else changes settings or processes.
func (d *day) change(do func()) {
	d.changing <- struct{}{}
	do()
	<-d.changing
}

const (
	awayAt     = 3 * time.Hour
	readOnlyAt = 12 * time.Hour
)

// breakStore makes the store unavailable for a minute, and read-only for another minute.
func (d *day) breakStore() {
	d.at(awayAt)
	d.store.set(func(f *flaky) { f.away = true })
	d.at(awayAt + time.Minute)
	d.store.set(func(f *flaky) { f.away = false })
	d.at(readOnlyAt)
	d.store.set(func(f *flaky) { f.readOnly = true })
	d.at(readOnlyAt + time.Minute)
	d.store.set(func(f *flaky) { f.readOnly = false })
}

// wasAway reports whether the store refused writes between two times.
func (d *day) wasAway(from, to time.Time) bool {
	for _, at := range []time.Duration{awayAt, readOnlyAt} {
		begin := d.begun.Add(at)
		if from.Before(begin.Add(time.Minute)) && to.After(begin) {
			return true
		}
	}
	return false
}

// disturb adds faults to calls and notifications until the orders are placed.
func (d *day) disturb() {
	for range d.orders / 4 {
		time.Sleep(d.opens / time.Duration(d.orders/4))
		f := d.callFault()
		f.Times = 1 + d.intN(2)
		f.Method = []string{"", "GET", "POST"}[d.intN(3)]
		if d.intN(3) == 0 {
			paths := []string{"/v3/refund/domestic/refunds", "/v3/pay/transactions/out-trade-no/*/close", "/v3/pay/transactions/native"}
			if d.version == onV2 || d.version == moving && d.intN(2) == 0 {
				paths = []string{"/secapi/pay/refund", "/pay/closeorder", "/pay/unifiedorder"}
			}
			f.Path = paths[d.intN(3)]
			f.Method = "POST"
		}
		if f.Code == "SYSTEM_ERROR" && d.version == onV2 {
			f.Code = "SYSTEMERROR"
		}
		d.server.AddFault(f)
		if d.intN(2) == 0 {
			f := d.notificationFault()
			f.Times = 1
			d.server.AddNotificationFault(f)
		}
	}
}

// callFault returns a fault of a call.
func (d *day) callFault() paytest.Fault {
	faults := []paytest.Fault{
		{Refuse: true}, {Reset: true}, {Reset: true, AfterWork: true}, {Code: "SYSTEM_ERROR"}, {Code: "SYSTEM_ERROR", AfterWork: true},
		{Code: "FREQUENCY_LIMITED"}, {Status: 502, Body: "<html>"}, {Status: 502, Body: "<html>", AfterWork: true},
		{Sign: paytest.Forged}, {Sign: paytest.Probe}, {Sign: paytest.Unsigned}, {Sign: paytest.Altered}, {Sign: paytest.Truncated},
		{Sign: paytest.Stale}, {Sign: paytest.Unknown}, {Delay: 20 * time.Second}, {Delay: 40 * time.Second}, {Delay: 40 * time.Second, Late: true},
	}
	return faults[d.intN(len(faults))]
}

// forge sends forged, replayed and altered notifications.
func (d *day) forge() {
	for range 100 {
		time.Sleep(12 * time.Minute)
		header, body := make(http.Header), []byte(nil)
		if all := d.server.Deliveries(); len(all) > 0 {
			old := all[d.intN(len(all))]
			header, body = old.Header.Clone(), []byte(old.Body)
		}
		mayPass := false
		switch d.intN(3) {
		case 0:
			mayPass = true // within 5 minutes it is valid
		case 1:
			header.Set("Wechatpay-Timestamp", fmt.Sprint(time.Now().Unix()))
			if isXML(string(body)) {
				body, mayPass = alterV2(body)
			}
		case 2:
			body, _ = json.Marshal(map[string]any{"id": "1", "event_type": "TRANSACTION.SUCCESS", "resource_type": "encrypt-resource", "resource": map[string]string{
				"original_type": "transaction", "algorithm": "AEAD_AES_256_GCM", "ciphertext": "AAAA", "nonce": "000000000000", "associated_data": "transaction",
			}})
		}
		r := httptest.NewRequest("POST", notifyAddress, bytes.NewReader(body))
		r.Header = header
		w := httptest.NewRecorder()
		d.serveNotification(w, r)
		if w.Code < 400 && !mayPass {
			d.fail("a forged notification was answered %d", w.Code)
		}
	}
}
