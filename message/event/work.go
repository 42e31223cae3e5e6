package event

import "time"

// Events of WeCom (企业微信).
// https://developer.work.weixin.qq.com/document/path/90376

// ChangeContact is change_contact: a member, a department or a tag was changed (通讯录变更). ChangeType is create_user,
// update_user, delete_user, create_party, update_party, delete_party or update_tag, and each has some of the fields.
type ChangeContact struct {
	ChangeType string

	UserID         string
	NewUserID      string
	Name           string
	Department     string // numbers with commas
	MainDepartment int64
	IsLeaderInDept string
	DirectLeader   string // userids with commas
	Position       string
	Mobile         string
	Gender         int
	Email          string
	BizMail        string
	Status         int
	Avatar         string
	Alias          string
	Telephone      string
	Address        string
	ExtAttr        []struct {
		Name  string
		Type  int
		Text  struct{ Value string }
		Web   struct{ Title, URL string }
		Value string // of a text, in older documents
	} `wechat:"ExtAttr>Item"`

	ID       int64 // of a department
	ParentID int64
	Order    int64

	TagID         int64
	AddUserItems  string // separated by commas, like the three below
	DelUserItems  string
	AddPartyItems string
	DelPartyItems string
}

// BatchJobResult is batch_job_result: an asynchronous job is done (异步任务完成).
type BatchJobResult struct {
	BatchJob struct {
		JobID   string
		JobType string // sync_user, replace_user, invite_user, replace_party …
		ErrCode int
		ErrMsg  string
	}
}

// ChangeExternalContact is change_external_contact: a customer was added, changed or removed (客户变更). ChangeType is
// add_external_contact, edit_external_contact, add_half_external_contact, del_external_contact, del_follow_user,
// transfer_fail or msg_audit_approved.
type ChangeExternalContact struct {
	ChangeType     string
	UserID         string
	ExternalUserID string
	State          string
	WelcomeCode    string
	Source         string
	FailReason     string
}

// ChangeExternalChat is change_external_chat: a customer group was created, changed or dissolved (客户群变更).
type ChangeExternalChat struct {
	ChangeType    string // create, update, dismiss
	ChatID        string
	UpdateDetail  string
	JoinScene     int
	QuitScene     int
	MemChangeCnt  int
	MemChangeList []string `wechat:"MemChangeList>Item,MemChangeList"` // userids and external userids
	LastMemVer    string   // version of the members before
	CurMemVer     string   // version of the members now; a gap means that an event was missed
}

// ChangeExternalTag is change_external_tag: a customer tag was created, changed, removed or moved (客户标签变更).
type ChangeExternalTag struct {
	ChangeType string // create, update, delete, shuffle
	TagType    string // tag or tag_group
	ID         string
	StrategyID int64
}

// SysApprovalChange is sys_approval_change: a form was filed or decided upon (审批状态变化).
type SysApprovalChange struct {
	ApprovalInfo struct {
		SpNo       string // not in all forms; SpNoStr is in all
		SpNoStr    string
		SpName     string
		SpStatus   int // 1 open, 2 approved, 3 refused, 4 withdrawn, 6 withdrawn once approved, 7 deleted, 10 paid
		TemplateID string
		ApplyTime  time.Time
		Applyer    struct{ UserID, Party string }
		SpRecord   []struct {
			SpStatus     int
			ApproverAttr int
			Details      []struct {
				Approver struct{ UserID string }
				Speech   string
				SpStatus int
				SpTime   time.Time
				Attach   []string // media ids
			}
		}
		Notifyer []struct{ UserID string }
		Comments []struct {
			CommentUserInfo struct{ UserID string }
			CommentTime     time.Time
			CommentContent  string
			CommentID       string
			Attach          []string // media ids
		}
		ProcessList struct {
			NodeList []struct {
				NodeType    int // 1 approves, 2 gets a copy, 3 handles
				SpStatus    int // 1 open, 2 approved, 3 refused, 4 passed on, 11 sent back, 12 and 13 a person was added, 14 handled, 15 handed over
				ApvRel      int // 1 all of several people, 2 any of them, 3 one after the other
				SubNodeList []struct {
					UserInfo struct{ UserID string }
					Speech   string
					SpYj     int       // as SpStatus
					SpTime   time.Time // zero until then
					MediaIDs []string
				}
			}
		}
		StatuChangeEvent int // 1 filed, 2 approved, 3 refused, 4 passed on, 5 urged, 6 withdrawn, 8 withdrawn once approved, 10 commented …
	}
}

// OpenApprovalChange is open_approval_change: SysApprovalChange for the forms of an application (自建应用审批状态变化).
type OpenApprovalChange struct {
	ApprovalInfo struct {
		ThirdNo        string // the application's own number of the form
		OpenSpName     string
		OpenTemplateID string
		OpenSpStatus   int // 1 open, 2 approved, 3 refused, 4 withdrawn
		ApplyTime      time.Time
		ApplyUserName  string
		ApplyUserID    string
		ApplyUserParty string
		ApplyUserImage string
		ApprovalNodes  []struct {
			NodeStatus int
			NodeAttr   int // 1 any of the approvers, 2 all
			NodeType   int // 1 people, 2 a superior, 3 a tag
			Items      []struct {
				ItemName   string
				ItemUserID string
				ItemParty  string
				ItemImage  string
				ItemStatus int
				ItemSpeech string
				ItemOpTime time.Time
			} `wechat:"Items>Item,Items"`
		} `wechat:"ApprovalNodes>ApprovalNode,ApprovalNodes"`
		NotifyNodes []struct {
			ItemName   string
			ItemUserID string
			ItemParty  string
			ItemImage  string
		} `wechat:"NotifyNodes>NotifyNode,NotifyNodes"`
		ApproverStep int
	}
}

// Schedule is modify_calendar, delete_calendar, add_schedule, modify_schedule, delete_schedule and respond_schedule
// (日历和日程变更).
type Schedule struct {
	CalID      string
	ScheduleID string // not in the calendar events
}

// LivingStatusChange is living_status_change (直播状态变化).
type LivingStatusChange struct {
	LivingID string
	Status   int // 0 announced, 1 live, 2 ended, 3 expired, 4 canceled
}

// TemplateCard is template_card_event and template_card_menu_event: a button of a card was pressed (模板卡片).
type TemplateCard struct {
	EventKey      string
	TaskID        string
	CardType      string
	ResponseCode  string // for update_template_card; valid once within 72 hours
	SelectedItems []struct {
		QuestionKey string
		OptionIDs   []string `wechat:"OptionIds>OptionId,OpitonIds>OpitonId"` // WeCom uses both spellings
	} `wechat:"SelectedItems>SelectedItem"`
}

// KfMsg is kf_msg_or_event: messages or events wait to be read with kf/sync_msg (微信客服).
type KfMsg struct {
	Token    string // for kf/sync_msg; valid for 10 minutes
	OpenKfID string
}
