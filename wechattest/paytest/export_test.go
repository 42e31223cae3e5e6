package paytest

import (
	"maps"
	"slices"
)

// ControlCalls returns the driving calls by method and name.
func ControlCalls() []string { return slices.Sorted(maps.Keys(controls)) }

// SignV2 returns the signature of fields of v2.
func SignV2(v map[string]string, kind, key string) string { return values(v).signature(kind, key) }

// SealRefund encrypts req_info.
func SealRefund(key string, plain []byte) string { return sealRefund(key, plain) }

// ReadXML reads the XML of v2.
func ReadXML(body []byte) (map[string]string, error) { return readXML("xml", body) }

// WriteXML writes the XML of v2.
func WriteXML(v map[string]string) []byte { return toXML("xml", v) }
