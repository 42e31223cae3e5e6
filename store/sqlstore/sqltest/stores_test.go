package sqltest

import (
	"testing"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/storetest"
)

func testStore(t *testing.T, d database) {
	db := d.open(t)
	storetest.Run(t, func(t *testing.T) store.Store { return d.store(t, db) })
}

func TestSQLiteIsAStore(t *testing.T) {
	testStore(t, sqlite(t))
}

func TestSQLiteInMemoryWithOneConnectionIsAStore(t *testing.T) {
	d := sqlite(t)
	d.dsn = ":memory:"
	testStore(t, d)
}

func TestMySQLIsAStore(t *testing.T) {
	testStore(t, mysql(t))
}

func TestMySQLWithFoundRowsIsAStore(t *testing.T) {
	d := mysql(t)
	d.dsn = with(d.dsn, "clientFoundRows=true&interpolateParams=true&parseTime=true&loc=Asia%2FShanghai")
	testStore(t, d)
}

func TestPostgresIsAStore(t *testing.T) {
	testStore(t, postgres(t))
}

func TestPostgresWithTheSimpleProtocolIsAStore(t *testing.T) {
	d := postgres(t)
	d.dsn = with(d.dsn, "default_query_exec_mode=simple_protocol")
	testStore(t, d)
}
