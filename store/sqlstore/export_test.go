package sqlstore

// Range returns the range of keys that Keys selects.
var Range = keyRange
