package wechattest

import (
	"maps"
	"slices"
)

// ControlCalls lists the driving calls as "METHOD name".
func ControlCalls() []string {
	return slices.Sorted(maps.Keys(controls))
}
