package sqltest

import (
	"testing"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/storetest"
)

func keepsItsWord(t *testing.T, d database) {
	db := d.open(t)
	storetest.Run(t, func(t *testing.T) store.Store { return d.store(t, db) })
}

func TestSQLiteKeepsItsWord(t *testing.T) {
	keepsItsWord(t, sqlite(t))
}

func TestSQLiteInMemoryWithOneConnectionKeepsItsWord(t *testing.T) {
	d := sqlite(t)
	d.dsn = ":memory:"
	keepsItsWord(t, d)
}

func TestMySQLKeepsItsWord(t *testing.T) {
	keepsItsWord(t, mysql(t))
}

func TestMySQLThatCountsFoundRowsKeepsItsWord(t *testing.T) {
	d := mysql(t)
	d.dsn = with(d.dsn, "clientFoundRows=true&interpolateParams=true&parseTime=true&loc=Asia%2FShanghai")
	keepsItsWord(t, d)
}

func TestPostgresKeepsItsWord(t *testing.T) {
	keepsItsWord(t, postgres(t))
}

func TestPostgresByTheSimpleProtocolKeepsItsWord(t *testing.T) {
	d := postgres(t)
	d.dsn = with(d.dsn, "default_query_exec_mode=simple_protocol")
	keepsItsWord(t, d)
}
