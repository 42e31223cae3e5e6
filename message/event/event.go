// Package event has structs with the fields of each event, for [message.Message.Decode]:
//
//	in.Handle(message.OnEvent("TEMPLATESENDJOBFINISH"), func(ctx context.Context, m *message.Message) (message.Reply, error) {
//		var e event.TemplateSendJobFinish
//		if err := m.Decode(&e); err != nil {
//			return nil, err
//		}
//		return nil, sent(ctx, e.MsgID, e.Status)
//	})
//
// The fields have WeChat's names. The fields of all messages (FromUserName, CreateTime …) and those of subscribe,
// unsubscribe, SCAN, LOCATION, CLICK and WeCom's enter_agent are in message.Message. An event that is not listed here is
// decoded into a struct of your own in the same way.
//
// # Index
//
// Official accounts (公众号):
//
//	subscribe, unsubscribe, SCAN, LOCATION, CLICK            message.Message
//	VIEW, view_miniprogram                                   View
//	scancode_push, scancode_waitmsg                          ScanCode
//	pic_sysphoto, pic_photo_or_album, pic_weixin             SendPics
//	location_select                                          SendLocation
//	TEMPLATESENDJOBFINISH                                    TemplateSendJobFinish
//	MASSSENDJOBFINISH                                        MassSendJobFinish
//	PUBLISHJOBFINISH                                         PublishJobFinish
//	subscribe_msg_popup_event                                SubscribeMsgPopup
//	subscribe_msg_change_event                               SubscribeMsgChange
//	subscribe_msg_sent_event                                 SubscribeMsgSent
//	user_info_modified, user_authorization_revoke            UserAuthorization
//	user_authorization_cancellation                          UserAuthorization
//	qualification_verify_success, qualification_verify_fail  Verify
//	naming_verify_success, naming_verify_fail                Verify
//	annual_renew, verify_expired                             Verify
//	kf_create_session, kf_close_session, kf_switch_session   KfSession
//	card_pass_check, card_not_pass_check, card_sku_remind    Card
//	card_pay_order, user_get_card, user_gifting_card         Card
//	user_del_card, user_consume_card, user_view_card         Card
//	user_pay_from_pay_cell, user_enter_session_from_card     Card
//	update_member_card, submit_membercard_user_info          Card
//	user_scan_product, user_scan_product_enter_session       ScanProduct
//	user_scan_product_async                                  ScanProduct
//	user_scan_product_verify_action                          ScanProduct
//	ShakearoundUserShake                                     Shake
//	WifiConnected                                            WifiConnected
//	poi_check_notify                                         PoiCheck
//	bind, unbind, subscribe_status, unsubscribe_status       Device
//
// Mini programs (小程序):
//
//	user_enter_tempsession                                   EnterTempSession
//	wxa_media_check                                          MediaCheck
//	weapp_audit_success, weapp_audit_fail, weapp_audit_delay Audit
//	wxa_nickname_audit                                       NicknameAudit
//	wxa_category_audit                                       CategoryAudit
//	wxa_illegal_record                                       IllegalRecord
//	wxa_appeal_record                                        AppealRecord
//	wxa_privacy_apply                                        PrivacyApply
//	trade_manage_remind_access_api, wxa_trade_controlled     TradeManageRemindAccessAPI
//	trade_manage_remind_shipping                             TradeManageRemindShipping
//	trade_manage_order_settlement                            TradeManageOrderSettlement
//	add_express_path                                         AddExpressPath
//	xpay_goods_deliver_notify, xpay_coin_pay_notify          Xpay
//
// WeCom (企业微信):
//
//	enter_agent                                              message.Message
//	change_contact                                           ChangeContact
//	batch_job_result                                         BatchJobResult
//	change_external_contact                                  ChangeExternalContact
//	change_external_chat                                     ChangeExternalChat
//	change_external_tag                                      ChangeExternalTag
//	sys_approval_change                                      SysApprovalChange
//	open_approval_change                                     OpenApprovalChange
//	modify_calendar, delete_calendar, add_schedule           Schedule
//	modify_schedule, delete_schedule, respond_schedule       Schedule
//	living_status_change                                     LivingStatusChange
//	template_card_event, template_card_menu_event            TemplateCard
//	kf_msg_or_event                                          KfMsg
//
// Notices, by InfoType, of the open platform (第三方平台) and of WeCom's service providers (服务商):
//
//	component_verify_ticket                                  ComponentVerifyTicket
//	authorized, updateauthorized, unauthorized               Authorized
//	notify_third_fasteregister                               FastRegister
//	suite_ticket                                             SuiteTicket
//	create_auth, change_auth, cancel_auth                    SuiteAuth
//	reset_permanent_code                                     SuiteAuth
package event
