package message_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

func TestDecodeFindsFieldsByName(t *testing.T) {
	type common struct{ MsgType string }
	for _, doc := range []string{
		`<xml><MsgType>event</MsgType><trace_id>t1</trace_id><MsgID>9007199254740993</MsgID><Location_X>1.5</Location_X><ok>1</ok>` +
			`<small>255</small><When>1700000000</When><Never>0</Never><L><V>1</V><V>2</V></L><Deep><Er><V>3</V></Er></Deep><Any><x>y</x></Any></xml>`,
		`{"MsgType":"event","trace_id":"t1","MsgID":"9007199254740993","Location_X":1.5,"ok":true,"small":255,"When":1700000000,` +
			`"Never":"0","L":{"V":[1,2]},"Deep":{"Er":{"V":3}},"Any":{"x":"y"}}`,
	} {
		var e struct {
			common
			TraceID   string
			MsgID     int64
			LocationX float64
			OK        bool
			Small     uint8
			When      time.Time
			Never     time.Time
			L         struct{ V []int }
			Three     int      `wechat:"Missing>V,Deep>Er>V"`
			Flat      []string `wechat:"L>V"`
			Any       message.Element
			Absent    string
			hidden    string
		}
		e.Absent, e.hidden = "as it was", "too"
		require.NoError(t, open(t, doc).Decode(&e))
		require.Equal(t, "event", e.MsgType)
		require.Equal(t, "t1", e.TraceID)
		require.EqualValues(t, 9007199254740993, e.MsgID)
		require.Equal(t, 1.5, e.LocationX)
		require.True(t, e.OK)
		require.EqualValues(t, 255, e.Small)
		require.EqualValues(t, 1700000000, e.When.Unix())
		require.True(t, e.Never.IsZero())
		require.Equal(t, []int{1, 2}, e.L.V)
		require.Equal(t, 3, e.Three)
		require.Equal(t, []string{"1", "2"}, e.Flat)
		require.Equal(t, "y", e.Any.Get("x"))
		require.Equal(t, "as it was", e.Absent)
		require.Equal(t, "too", e.hidden)
	}
}

func TestDecodePrefersTheExactName(t *testing.T) {
	var e struct {
		Time  string `wechat:"create_time"`
		Other string `wechat:"CreateTime"`
	}
	require.NoError(t, open(t, `<xml><CreateTime>1</CreateTime><create_time>2</create_time></xml>`).Decode(&e))
	require.Equal(t, "2", e.Time)
	require.Equal(t, "1", e.Other)
}

func TestDecodeNamesTheInvalidField(t *testing.T) {
	m := open(t, `<xml><N>abc</N><Big>256</Big><Empty/><Deep><B>maybe</B></Deep></xml>`)
	var number struct{ N int }
	require.EqualError(t, m.Decode(&number), `message: decode N: invalid value "abc": want int`)
	var big struct{ Big uint8 }
	require.ErrorContains(t, m.Decode(&big), "Big")
	var deep struct{ Deep struct{ B bool } }
	require.ErrorContains(t, m.Decode(&deep), `message: decode Deep: B: invalid boolean "maybe": want true or false`)
	var when struct{ N time.Time }
	require.ErrorContains(t, m.Decode(&when), "N")
	var list struct{ N []float32 }
	require.ErrorContains(t, m.Decode(&list), "N")
	var odd struct{ N map[string]string }
	require.ErrorContains(t, m.Decode(&odd), "unsupported type map[string]string")
	var empty struct {
		Empty int
		None  func()
	}
	require.NoError(t, m.Decode(&empty))
	for _, into := range []any{nil, number, (*struct{})(nil), new(int)} {
		require.ErrorContains(t, m.Decode(into), "want a pointer to a struct")
	}
}

func TestDecodeReadsAnEmptyListAsNoItems(t *testing.T) {
	type item struct{ A string }
	type lists struct {
		Wrapped []item   `wechat:"Wrapped>item,Wrapped"`
		Deep    []item   `wechat:"In>Deep,Deep"`
		Plain   []item   // as wxa_media_check has detail
		Texts   []string `wechat:"Texts>Text"`
		Numbers []int
		Any     []message.Element
	}
	for _, doc := range []string{
		`<xml><Wrapped></Wrapped><In><Deep></Deep></In><Plain></Plain><Texts><Text></Text></Texts><Numbers></Numbers><Any></Any></xml>`,
		`<xml><Wrapped/><In><Deep/></In><Plain/><Texts/><Numbers/><Any/></xml>`,
		"<xml><Wrapped>\n</Wrapped><In>\n</In><Deep> </Deep><Plain><![CDATA[]]></Plain><Texts>\n</Texts><Numbers> </Numbers><Any></Any></xml>",
		`<xml><Wrapped/><Wrapped></Wrapped><Deep/><Deep/><Plain/><Plain/><Numbers/><Numbers/><Any/><Any/></xml>`,
		`<xml><Wrapped><item/></Wrapped></xml>`,
		`{"Wrapped":null,"In":{"Deep":null},"Plain":null,"Texts":{"Text":null},"Numbers":null,"Any":null}`,
		`{"Wrapped":[],"In":{"Deep":[]},"Plain":[],"Texts":{"Text":[]},"Numbers":[],"Any":[]}`,
		`{"Wrapped":{"item":[]},"In":[],"Deep":{},"Plain":[[]],"Texts":[],"Numbers":"","Any":""}`,
		`{"Wrapped":{"item":null}}`,
	} {
		got := lists{Wrapped: nil, Numbers: nil}
		require.NoError(t, open(t, doc).Decode(&got), doc)
		require.Empty(t, got.Wrapped, doc)
		require.Empty(t, got.Deep, doc)
		require.Empty(t, got.Plain, doc)
		require.Empty(t, got.Texts, doc)
		require.Empty(t, got.Numbers, doc)
		require.Empty(t, got.Any, doc)
	}
	was := lists{Plain: []item{{"x"}}, Numbers: []int{1}}
	require.NoError(t, open(t, `{"Plain":[]}`).Decode(&was))
	require.Empty(t, was.Plain, "it was sent")
	require.Equal(t, []int{1}, was.Numbers, "it was not")
	var some lists
	require.NoError(t, open(t, `{"Plain":[{},{"A":"1"}],"Texts":{"Text":["a","","b"]},"Numbers":[0]}`).Decode(&some))
	require.Equal(t, lists{Plain: []item{{}, {"1"}}, Texts: []string{"a", "", "b"}, Numbers: []int{0}}, some, "items may be empty in an array")
	var texts lists
	require.NoError(t, open(t, `<xml><Texts><Text>a</Text><Text></Text></Texts><Plain/><Plain><A>1</A></Plain></xml>`).Decode(&texts))
	require.Equal(t, lists{Plain: []item{{"1"}}, Texts: []string{"a", ""}}, texts)
}

func TestDecodeCollectsTheItemsOfRepeatedWrappers(t *testing.T) {
	for _, doc := range []string{
		`<xml><PicList><item>a</item></PicList><PicList><item>b</item><item>c</item></PicList></xml>`,
		`<xml><PicList/><PicList><item>a</item></PicList><Other/><PicList><Item>b</Item><Item>c</Item></PicList></xml>`,
		`{"PicList":[{"item":"a"},{"item":["b","c"]}]}`,
		`<xml><piclist><item>a</item></piclist><piclist><item>b</item><item>c</item></piclist></xml>`,
	} {
		var e struct {
			List  []string `wechat:"Missing>item,PicList>item,PicList"`
			First string   `wechat:"PicList>item"`
		}
		require.NoError(t, open(t, doc).Decode(&e), doc)
		require.Equal(t, []string{"a", "b", "c"}, e.List, doc)
		require.Equal(t, "a", e.First, doc)
	}
	var deep struct {
		V []int `wechat:"A>B>V"`
	}
	require.NoError(t, open(t, `<xml><A><B><V>1</V></B><B><V>2</V></B></A><A><C/></A><A><B><V>3</V></B></A></xml>`).Decode(&deep))
	require.Equal(t, []int{1, 2, 3}, deep.V)
}

func TestEmptyArrayIsKeptInRootAndJSON(t *testing.T) {
	m := open(t, `{"MsgType":"event","List":[],"Deep":{"L":[],"n":1},"Two":[[],[]],"Twice":[],"Twice":[],"Mixed":[],"Mixed":2,"In":[{"L":[]},[]],"Content":[]}`)
	require.NotNil(t, m.Root.Child("List"))
	require.NotNil(t, m.Root.Child("Deep").Child("L"))
	got, err := m.MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"ToUserName":"","FromUserName":"","CreateTime":0,"MsgType":"event","List":[],"Deep":{"L":[],"n":1},"Two":[],"Twice":[],"Mixed":[2],"In":[{"L":[]}]}`, string(got))
	require.Equal(t, 1, strings.Count(string(got), "Twice"))

	got, err = open(t, `{"MsgType":"event","List":["a","",null,"b"],"Empty":[""],"None":""}`).MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"ToUserName":"","FromUserName":"","CreateTime":0,"MsgType":"event","List":["a","","","b"],"Empty":[""]}`, string(got))
}
