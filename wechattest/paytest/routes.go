package paytest

import "slices"

// allRoutes returns the routing table.
func allRoutes() []*route {
	return slices.Concat(
		certificateRoutes(), orderRoutes(), combineRoutes(), refundRoutes(), billRoutes(), mediaRoutes(),
		transferRoutes(), sharingRoutes(), complaintRoutes(), v2Routes(),
	)
}
