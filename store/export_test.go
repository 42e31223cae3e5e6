package store

// Held returns the number of values in the store, including expired ones.
func (m *Memory) Held() int { return m.cache.ItemCount() }
