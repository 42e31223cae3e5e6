package payv2

import (
	"context"

	"github.com/wetoken/wetoken/pay"
)

// DefaultHTTP is the client that is used by default.
var DefaultHTTP = defaultHTTP

// Sign returns the signature of fields.
func Sign(fields map[string]string, by SignType, key string) string {
	m := messageOf(fields)
	m.sort()
	return string(m.appendSign(nil, by, key))
}

// Encode returns fields as signed XML.
func Encode(fields map[string]string, by SignType, key string) ([]byte, error) {
	m := messageOf(fields)
	return m.encode(by, key)
}

func messageOf(fields map[string]string) (m message) {
	for name, value := range fields {
		m.add(name, value)
	}
	return m
}

// Read returns the fields of a document.
func Read(text, root string) (map[string]string, error) {
	m, err := readMessage(text, root)
	fields := make(map[string]string)
	for _, f := range m {
		fields[f.name] = f.value
	}
	return fields, err
}

// EncodeOrder returns the body of the call that places an order.
func EncodeOrder(m *Merchant, o pay.Order) ([]byte, error) {
	_, fields, err := m.orderFields(o)
	if err != nil {
		return nil, err
	}
	r := newRequest(unifiedOrderPath, fields)
	err = m.wire.prepare(context.Background(), r)
	return r.body, err
}

// ParamsAt returns the arguments of a payment with a given time and nonce.
func ParamsAt(m *Merchant, trade pay.Trade, prepayID, timestamp, nonce string) (map[string]string, error) {
	s, err := m.wire.heldSigning()
	if err != nil {
		return nil, err
	}
	return m.params(trade, m.appID, prepayID, timestamp, nonce, s)
}

// Unseal returns the fields of req_info.
func Unseal(text, key string) (map[string]string, error) {
	m, err := unseal(text, []string{key})
	fields := make(map[string]string)
	for _, f := range m {
		fields[f.name] = f.value
	}
	return fields, err
}
