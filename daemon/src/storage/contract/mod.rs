//! The rules of the storage traits as callable checks: every engine's tests run [`check_all`], and a random
//! [`script`] drives the engine beside the memory model.

mod accounts;
mod approvals;
mod attempts;
pub(in crate::storage) mod blobs;
mod control;
mod diversions;
mod dkim;
mod doubts;
mod ends;
mod jobs;
mod leaving_out;
mod ledger;
mod log;
mod merges;
mod names;
mod omissions;
mod player;
mod ready;
mod returns;
pub mod samples;
pub mod script;
mod statistics;
pub mod step;
mod suppressions;
mod tokens;
mod transitions;
pub mod unusual;

use super::SharedStorage;

macro_rules! run {
    ($make:ident: $($subject:ident { $($rule:ident),+ $(,)? })+) => {
        $($(
            let store: SharedStorage = $make().await;
            Box::pin($subject::$rule(store.clone())).await;
            store.close().await.expect(concat!("the store closes after ", stringify!($rule)));
        )+)+
    };
}

/// Runs every rule, each on a new and empty store that `make` makes.
///
/// # Panics
/// At the first rule that is broken.
pub async fn check_all(make: impl AsyncFn() -> SharedStorage) {
    check_submitting(&make).await;
    check_sending(&make).await;
    check_merges(&make).await;
    check_aftermath(&make).await;
    check_lists(&make).await;
    check_returns(&make).await;
}

async fn check_returns(make: &impl AsyncFn() -> SharedStorage) {
    run! { make:
        returns {
            a_mail_is_taken_in_once,
            a_folder_is_read_up_to_its_last_mail,
            a_mail_that_comes_twice_is_dropped,
            what_comes_back_reaches_its_recipient_once,
            a_complaint_after_a_bounce_suppresses,
            a_merge_counts_what_comes_back,
            what_is_not_known_changes_nothing,
            a_mail_that_is_skipped_is_told_once,
            mail_is_listed_with_the_youngest_first,
            a_page_of_long_mails_is_short,
            mail_is_forgotten_in_time,
            the_account_of_a_mailbox_must_be_there,
        }
        names {
            a_name_of_the_provider_finds_its_message,
            a_message_id_of_its_own_finds_its_job,
            a_name_means_the_last_message_that_got_it,
            names_go_with_their_job,
            names_go_over_with_their_job,
        }
        doubts {
            doubts_are_told_by_their_age,
            a_message_that_is_found_is_submitted,
            a_message_that_is_not_found_waits_again,
            a_message_of_a_merge_is_found_out,
            a_doubt_ends_with_what_comes_back,
            what_is_withdrawn_is_no_doubt,
            what_is_found_is_counted_as_submitted,
        }
    }
}

async fn check_submitting(make: &impl AsyncFn() -> SharedStorage) {
    run! { make:
        accounts {
            a_new_account_is_active_and_has_no_jobs,
            an_account_id_is_taken_once,
            accounts_are_listed_in_the_order_of_their_ids,
            settings_are_changed_by_those_who_saw_the_last,
            an_account_is_deleted_by_those_who_saw_the_last,
            an_account_with_open_jobs_is_kept,
            a_deleted_account_leaves_no_ledger_and_no_tenure,
            a_standing_that_is_set_already_writes_nothing,
        }
        dkim {
            keys_are_kept_with_their_private_halves,
            a_key_that_is_forgotten_is_gone,
            a_key_that_is_named_is_kept,
            dkim_rules_are_replaced_by_those_who_saw_the_last,
            keys_are_bounded,
        }
        tokens {
            tokens_are_kept_beside_the_settings,
            tokens_go_with_their_account,
        }
        jobs {
            accepted_jobs_are_read_back_as_they_are,
            submissions_are_answered_one_by_one_in_order,
            a_repeated_submission_is_known_again,
            an_idempotency_key_is_its_callers_own,
            a_key_outlives_its_account,
            large_messages_come_back_whole,
            lists_begin_with_the_youngest,
            filters_hold_all_at_once,
            lists_filter_by_state_at_the_given_time,
        }
        blobs {
            a_file_is_uploaded_in_pieces,
            an_upload_goes_on_where_it_is,
            what_was_not_promised_is_forgotten,
            a_hash_alone_opens_nothing,
            files_and_uploads_are_forgotten_in_time,
            uploads_are_bounded_by_caller_and_in_all,
            messages_with_files_come_back_whole,
        }
    }
}

async fn check_sending(make: &impl AsyncFn() -> SharedStorage) {
    run! { make:
        ready {
            only_what_is_due_is_ready,
            what_waits_is_counted,
            urgent_jobs_go_first,
            lanes_take_turns,
            skipped_jobs_are_left_out,
            jobs_of_other_accounts_are_left_out,
            a_marked_job_is_not_ready,
            waiting_and_marked_jobs_are_work,
            consignments_stand_in_the_order_of_the_ids,
        }
        attempts {
            an_older_tenure_is_refused,
            a_mark_is_set_once,
            a_withdrawn_job_is_not_marked_and_not_charged,
            marks_are_kept_until_they_are_settled,
            a_settlement_writes_what_the_attempt_met,
            an_attempt_without_a_mark_counts_too,
            an_attempt_that_does_not_count_only_takes_the_mark_away,
            what_is_final_stays_final,
            a_held_job_stays_held,
            a_job_that_is_gone_is_left_alone,
        }
        ledger {
            charges_add_up_and_never_fall_below_zero,
            a_settlement_corrects_what_the_mark_charged,
            an_observed_limit_is_kept_beside_the_ledger,
            forgotten_buckets_are_gone,
        }
    }
}

async fn check_merges(make: &impl AsyncFn() -> SharedStorage) {
    run! { make:
        merges {
            a_staged_merge_is_accepted_whole,
            what_is_not_staged_is_not_accepted,
            a_repeated_merge_is_known_again,
            messages_of_a_merge_go_in_order,
            a_merge_takes_turns_with_other_lanes,
            consignments_of_a_merge_share_its_content,
            each_message_of_a_merge_has_its_outcome,
            a_cancelled_merge_ends_but_for_what_is_under_way,
            a_held_merge_waits_for_its_release,
            an_overdue_merge_expires_and_may_be_tried_again,
            a_merge_expires_at_a_callers_wish_and_may_be_tried_again,
            a_merge_is_found_by_its_recipients,
            a_retry_opens_what_failed_of_a_merge,
            a_finished_merge_is_pruned_with_all_it_has,
        }
    }
}

async fn check_aftermath(make: &impl AsyncFn() -> SharedStorage) {
    run! { make:
        control {
            calls_are_answered_in_the_order_of_the_ids,
            a_held_job_waits_for_its_release,
            a_wish_waits_for_the_end_of_the_attempt,
            a_wish_is_done_when_the_attempt_did_not_count,
            a_refused_call_changes_nothing,
            a_retry_opens_a_finished_job,
            a_job_without_account_is_not_opened_again,
            what_is_not_final_ends_at_a_callers_wish,
            a_job_under_way_expires_when_its_attempt_ends,
        }
        approvals {
            a_job_goes_only_when_it_is_approved,
            a_hold_and_an_approval_are_independent,
            what_awaits_approval_still_ends,
            what_awaits_approval_does_not_go_over,
            a_merge_is_approved_as_a_whole,
        }
        diversions {
            rules_are_replaced_by_those_who_saw_the_last,
            an_account_that_a_rule_names_is_kept,
            only_jobs_with_fallbacks_that_are_due_may_go_over,
            a_job_goes_over_whole,
            what_a_provider_may_have_never_goes_over,
            a_merge_job_stays,
        }
        ends {
            a_job_expires_only_when_its_time_is_over,
            a_marked_or_held_job_does_not_expire,
            overdue_jobs_end_whoever_sends,
            finished_jobs_are_pruned_and_open_ones_kept,
            old_events_are_pruned,
            keys_are_remembered_for_a_week,
            a_closed_store_refuses_changes,
            a_sound_store_has_no_findings,
        }
        log {
            events_come_in_the_order_of_the_changes,
            pages_of_events_follow_each_other,
            the_head_is_the_cursor_after_the_last_event,
            changes_are_told_by_account,
        }
    }
}

async fn check_lists(make: &impl AsyncFn() -> SharedStorage) {
    run! { make:
        suppressions {
            the_widest_suppression_that_holds_decides,
            answers_stand_in_the_order_of_the_addresses,
            an_address_is_suppressed_once_in_a_scope,
            what_holds_stays_when_only_new_ones_are_added,
            what_is_lifted_is_gone,
            what_has_ended_is_pruned,
            lists_stand_in_the_order_of_scope_and_address,
            a_list_goes_with_its_account,
        }
        omissions {
            others_wait_on_when_one_is_left_out,
            what_is_under_way_or_another_accounts_is_not_left_out,
            a_job_that_is_left_out_from_the_beginning_is_finished,
            who_was_held_back_waits_again,
            a_job_that_is_gone_takes_nobody_back,
            a_lift_without_a_wish_lets_nobody_wait,
            who_is_held_back_by_what_is_gone_waits_again,
            it_is_told_whether_anybody_was_left_out,
            messages_of_a_merge_are_left_out_and_wait_again,
            very_many_wait_again,
            who_was_left_out_is_withdrawn_with_the_job,
        }
        statistics {
            what_is_counted_adds_up_by_hour_and_day,
            only_what_is_accepted_counts,
            an_hour_names_a_bounded_number_of_groups,
            old_hours_are_summed_up_in_their_day,
            counts_go_with_their_account,
            what_time_or_a_caller_ends_is_counted,
        }
    }
}

/// Checks that a store which allows `open_jobs_max` open jobs of an account takes that many and no more.
///
/// # Panics
/// When it does not.
pub async fn check_queue_full(store: SharedStorage, open_jobs_max: u32) {
    jobs::a_full_queue_takes_no_more(store, open_jobs_max).await;
}
