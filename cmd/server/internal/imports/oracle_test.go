package imports_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/cmd/server/internal/imports"
)

// oracle is a database that records the statements that it gets. Its columns are in capitals, as those of Oracle, and "" is NULL.
type oracle struct {
	columns    []string
	row        []driver.Value
	statements []string
}

func (o *oracle) Connect(context.Context) (driver.Conn, error) { return o, nil }
func (o *oracle) Driver() driver.Driver                        { return nil }
func (o *oracle) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (o *oracle) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (o *oracle) Close() error                                 { return nil }

func (o *oracle) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	o.statements = append(o.statements, query)
	if len(o.statements) == 1 {
		return &rows{columns: o.columns}, nil
	}
	return &rows{columns: make([]string, len(o.row)), all: [][]driver.Value{o.row}}, nil
}

type rows struct {
	columns []string
	all     [][]driver.Value
}

func (r *rows) Columns() []string { return r.columns }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(into []driver.Value) error {
	if len(r.all) == 0 {
		return io.EOF
	}
	copy(into, r.all[0])
	r.all = r.all[1:]
	return nil
}

func TestTheStatementsForOracle(t *testing.T) {
	db := &oracle{
		columns: []string{"APPID", "SECRET", "TOKEN", "AES_KEY", "UPDATE_TIME", "MCHID", "PAY_KEY", "SUB_APPID", "SUB_MCHID"},
		row:     []driver.Value{"wx0000000000000001", "a-secret", "tok", nil, nil, nil, nil, nil},
	}
	s, err := imports.ReadWetoken(t.Context(), "oracle", sql.OpenDB(db))
	require.NoError(t, err)
	require.Equal(t, []string{
		"SELECT * FROM wechat_app_info WHERE 1 = 0",
		"SELECT SUBSTR(appid, 1, 1025), SUBSTR(secret, 1, 1025), SUBSTR(token, 1, 1025), SUBSTR(aes_key, 1, 1025), SUBSTR(mchid, 1, 1025), SUBSTR(pay_key, 1, 1025), " +
			"SUBSTR(sub_appid, 1, 1025), SUBSTR(sub_mchid, 1, 1025) FROM wechat_app_info WHERE ROWNUM <= 100001",
	}, db.statements)
	require.Len(t, s.Apps, 1)
	require.Equal(t, "app-0000000000000001", s.Apps[0].Name)
	require.Equal(t, "a-secret", s.Apps[0].Settings.Secret)
	require.Equal(t, "tok", s.Apps[0].Settings.Message.Token)
	require.Empty(t, s.Merchants)
	require.NoError(t, s.Apps[0].Err)
}
