package imports

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// row is a row of a table, by column in lower case. NULL is "".
type row map[string]string

// table is a table of an old system. The columns that it lacks are empty in all rows.
type table struct {
	name     string
	required []string
	optional []string
}

// dialect is the SQL of a kind of database.
type dialect struct {
	value string // the text of the column %s, cut off after %d characters
	limit string // the condition or clause for at most %d rows
}

var dialects = map[string]dialect{
	"mysql":  {"SUBSTR(%[1]s, 1, %[2]d)", " LIMIT %d"},
	"oracle": {"SUBSTR(%[1]s, 1, %[2]d)", " WHERE ROWNUM <= %d"},
	"sqlite": {`SUBSTR(CAST("%[1]s" AS TEXT), 1, %[2]d)`, " LIMIT %d"},
}

// read returns the rows of the table.
func (t table) read(ctx context.Context, db *sql.DB, d dialect) ([]row, error) {
	columns, err := t.columns(ctx, db)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, t.query(d, columns))
	if err != nil {
		return nil, unreadable("%w", err)
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		if len(all) == maxRows {
			return nil, unreadable("table %s has more than %d rows", t.name, maxRows)
		}
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, unreadable("%w", err)
		}
		r := make(row, len(columns))
		for i, c := range columns {
			r[c] = strings.ToValidUTF8(values[i].String, "\uFFFD")
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, unreadable("%w", err)
	}
	return all, nil
}

// query returns the statement that reads some columns.
func (t table) query(d dialect, columns []string) string {
	values := make([]string, len(columns))
	for i, c := range columns {
		values[i] = fmt.Sprintf(d.value, c, maxValue+1)
	}
	return "SELECT " + strings.Join(values, ", ") + " FROM " + t.name + fmt.Sprintf(d.limit, maxRows+1)
}

// columns returns those columns that the table has.
func (t table) columns(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+t.name+" WHERE 1 = 0")
	if err != nil {
		return nil, unreadable("%w", err)
	}
	defer rows.Close()
	there, err := rows.Columns()
	if err == nil {
		err = rows.Err()
	}
	if err != nil {
		return nil, unreadable("%w", err)
	}
	for i := range there {
		there[i] = strings.ToLower(there[i])
	}
	var columns []string
	for _, c := range t.required {
		if !slices.Contains(there, c) {
			return nil, unreadable("table %s has no column %s", t.name, c)
		}
		columns = append(columns, c)
	}
	for _, c := range t.optional {
		if slices.Contains(there, c) {
			columns = append(columns, c)
		}
	}
	return columns, nil
}
