package store

// Held is how many values the store holds, expired ones too.
func (m *Memory) Held() int { return m.cache.ItemCount() }
