package sqlstore

// Range returns the keys between which Keys looks.
var Range = between
