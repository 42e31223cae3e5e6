package sqlstore

import (
	"crypto/sha256"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Dialect is the SQL dialect of a database.
type Dialect int

// The dialects. There is no default.
const (
	SQLite   Dialect = iota + 1
	MySQL            // and MariaDB
	Postgres         // and compatible databases
	Oracle
)

// String returns the dialect's name.
func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "SQLite"
	case MySQL:
		return "MySQL"
	case Postgres:
		return "Postgres"
	case Oracle:
		return "Oracle"
	}
	return "Dialect(" + strconv.Itoa(int(d)) + ")"
}

// pageSize is the number of rows that one statement lists or sweeps.
const pageSize = 500

// statements are the SQL statements of one dialect for one table. k is the key and v the value, both bytes, so that no
// collation applies. expires is the end of the life, in milliseconds of Unix time.
type statements struct {
	get     statement
	set     statement // Oracle: only if the row exists
	add     statement // if no live value exists; MySQL, Oracle: if no row exists
	clear   statement // MySQL, Oracle: deletes the row of one key if it has expired
	replace statement
	keep    statement // replace without expires
	remove  statement
	delete  statement
	list    statement
	sweep   statement
	migrate []statement
	probe   statement
}

// now returns the SQL for the database's time in milliseconds of Unix time, which is constant throughout a statement.
func (d Dialect) now() string {
	switch d {
	case SQLite:
		return "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
	case MySQL:
		return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000"
	case Postgres:
		return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)"
	case Oracle:
		return "ROUND((TRUNC(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'MI') - DATE '1970-01-01') * 86400000" +
			" + FLOOR(EXTRACT(SECOND FROM SYS_EXTRACT_UTC(SYSTIMESTAMP)) * 1000))"
	}
	return ""
}

func (d Dialect) statements(table string) (statements, error) {
	if d < SQLite || d > Oracle {
		return statements{}, errors.New("invalid Dialect: want SQLite, MySQL, Postgres or Oracle")
	}
	name := table[strings.LastIndexByte(table, '.')+1:] // an index is in its table's schema
	sql := func(text string) statement {
		text = strings.NewReplacer("{table}", table, "{name}", name, "{now}", d.now(), "{page}", strconv.Itoa(pageSize)).Replace(text)
		return d.statement(strings.Join(strings.Fields(text), " "))
	}
	q := statements{
		get:     sql(`SELECT v FROM {table} WHERE k = :key AND expires > {now}`),
		replace: sql(`UPDATE {table} SET v = :value, expires = {now} + :life WHERE k = :key AND v = :old AND expires > {now}`),
		keep:    sql(`UPDATE {table} SET v = :value WHERE k = :key AND v = :old AND expires > {now}`),
		remove:  sql(`DELETE FROM {table} WHERE k = :key AND v = :old AND expires > {now}`),
		delete:  sql(`DELETE FROM {table} WHERE k = :key`),
		list:    sql(`SELECT k FROM {table} WHERE k >= :from AND k < :to AND expires > {now} ORDER BY k LIMIT {page}`),
		probe:   sql(`SELECT k, v, expires FROM {table} WHERE 1 = 0`),
	}
	switch d {
	case SQLite, Postgres:
		q.set = sql(`INSERT INTO {table} (k, v, expires) VALUES (:key, :value, {now} + :life)
			ON CONFLICT (k) DO UPDATE SET v = excluded.v, expires = excluded.expires`)
		q.add = sql(`INSERT INTO {table} (k, v, expires) VALUES (:key, :value, {now} + :life)
			ON CONFLICT (k) DO UPDATE SET v = excluded.v, expires = excluded.expires WHERE {name}.expires <= {now}`)
		// The outer condition is checked again for a row that was just replaced by a live one.
		q.sweep = sql(`DELETE FROM {table} WHERE expires <= {now} AND k IN (SELECT k FROM {table} WHERE expires <= {now} LIMIT {page})`)
		q.migrate = []statement{
			sql(`CREATE TABLE IF NOT EXISTS {table} (k BYTEA NOT NULL PRIMARY KEY, v BYTEA NOT NULL, expires BIGINT NOT NULL)`),
			sql(`CREATE INDEX IF NOT EXISTS {name}_expires ON {table} (expires)`),
		}
		if d == SQLite { // which has other types, and the schema before the index
			q.migrate = []statement{
				sql(`CREATE TABLE IF NOT EXISTS {table} (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL, expires INTEGER NOT NULL)`),
				sql(`CREATE INDEX IF NOT EXISTS {table}_expires ON {name} (expires)`),
			}
		}
	case MySQL:
		// Without clientFoundRows the server counts changed rows only, so each swap changes writes.
		q.replace = sql(`UPDATE {table} SET v = :value, expires = {now} + :life, writes = writes + 1
			WHERE k = :key AND v = :old AND expires > {now}`)
		q.keep = sql(`UPDATE {table} SET v = :value, writes = writes + 1 WHERE k = :key AND v = :old AND expires > {now}`)
		q.set = sql(`INSERT INTO {table} (k, v, expires) VALUES (:key, :value, {now} + :life)
			ON DUPLICATE KEY UPDATE v = VALUES(v), expires = VALUES(expires), writes = writes + 1`)
		q.add = sql(`INSERT IGNORE INTO {table} (k, v, expires) VALUES (:key, :value, {now} + :life)`)
		q.clear = sql(`DELETE FROM {table} WHERE k = :key AND expires <= {now}`)
		q.sweep = sql(`DELETE FROM {table} WHERE expires <= {now} ORDER BY expires LIMIT {page}`)
		q.migrate = []statement{sql(`CREATE TABLE IF NOT EXISTS {table} (k VARBINARY(512) NOT NULL PRIMARY KEY,
			v MEDIUMBLOB NOT NULL, expires BIGINT NOT NULL, writes BIGINT NOT NULL DEFAULT 0, INDEX {name}_expires (expires)) ENGINE=InnoDB`)}
		q.probe = sql(`SELECT k, v, expires, writes FROM {table} WHERE 1 = 0`)
	case Oracle:
		// A BLOB cannot be compared with =, and an empty one is NULL: vsum, its SHA-256, is compared instead.
		q.replace = sql(`UPDATE {table} SET vsum = :sum, expires = {now} + :life, v = :value
			WHERE k = :key AND vsum = :oldsum AND expires > {now}`)
		q.keep = sql(`UPDATE {table} SET vsum = :sum, v = :value WHERE k = :key AND vsum = :oldsum AND expires > {now}`)
		q.remove = sql(`DELETE FROM {table} WHERE k = :key AND vsum = :oldsum AND expires > {now}`)
		q.set = sql(`UPDATE {table} SET vsum = :sum, expires = {now} + :life, v = :value WHERE k = :key`)
		q.add = sql(`INSERT INTO {table} (k, vsum, expires, v) VALUES (:key, :sum, {now} + :life, :value)`)
		q.clear = sql(`DELETE FROM {table} WHERE k = :key AND expires <= {now}`)
		q.list = sql(`SELECT k FROM {table} WHERE k >= :from AND k < :to AND expires > {now} ORDER BY k FETCH FIRST {page} ROWS ONLY`)
		q.sweep = sql(`DELETE FROM {table} WHERE expires <= {now} AND ROWNUM <= {page}`)
		q.migrate = []statement{
			sql(`CREATE TABLE {table} (k RAW(512) NOT NULL PRIMARY KEY, v BLOB, vsum RAW(32) NOT NULL, expires NUMBER(19) NOT NULL)`),
			sql(`CREATE INDEX {table}_expires ON {table} (expires)`),
		}
		q.probe = sql(`SELECT k, v, vsum, expires FROM {table} WHERE 1 = 0`)
	}
	return q, nil
}

// statement is SQL with the dialect's placeholders, and the names of their arguments.
type statement struct {
	text  string
	names []string
}

// binds are the arguments of statements.
type binds struct {
	key        string
	value, old []byte
	ttl        time.Duration
	from, to   []byte
}

func (b binds) arg(name string) any {
	switch name {
	case "key":
		return []byte(b.key)
	case "value":
		return notNil(b.value)
	case "sum":
		return digest(b.value)
	case "old":
		return notNil(b.old)
	case "oldsum":
		return digest(b.old)
	case "life":
		return milliseconds(b.ttl)
	case "from":
		return b.from
	}
	return b.to
}

var placeholder = regexp.MustCompile(`:[a-z]+`)

func (d Dialect) statement(text string) statement {
	var q statement
	q.text = placeholder.ReplaceAllStringFunc(text, func(name string) string {
		q.names = append(q.names, name[1:])
		switch d {
		case Postgres:
			return "$" + strconv.Itoa(len(q.names))
		case Oracle:
			return ":" + strconv.Itoa(len(q.names))
		}
		return "?"
	})
	return q
}

func (q statement) bind(b binds) (text string, args []any) {
	for _, name := range q.names {
		args = append(args, b.arg(name))
	}
	return q.text, args
}

// isContended reports whether err means that a statement did nothing because another one used the same rows: a
// deadlock, a serialization failure, or a locked file. It compares texts, since this package imports no driver.
func isContended(err error) bool {
	var state interface{ SQLState() string }
	if errors.As(err, &state) && (state.SQLState() == "40001" || state.SQLState() == "40P01") {
		return true
	}
	for _, text := range []string{
		"Error 1213", "Error 1020", // MySQL, MariaDB
		"database is locked", "database table is locked", // SQLite
		"ORA-00060", "ORA-08177", // Oracle
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// isDuplicate reports whether err is Oracle's error for a row that exists.
func isDuplicate(err error) bool { return strings.Contains(err.Error(), "ORA-00001") }

// milliseconds returns ttl in milliseconds, rounded up, since a life of 0 would have ended.
func milliseconds(ttl time.Duration) int64 {
	if ttl <= 0 {
		return forever
	}
	ms := ttl.Milliseconds()
	if ttl%time.Millisecond > 0 {
		ms++
	}
	return ms
}

func digest(value []byte) []byte {
	sum := sha256.Sum256(value)
	return sum[:]
}

// notNil returns value, or an empty one for nil, which is NULL.
func notNil(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}
