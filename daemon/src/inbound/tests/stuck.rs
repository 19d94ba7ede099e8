//! What becomes of mails that cannot be read, of waits that break off, and of what was owed under other settings.

use super::*;

const BOTH: [MailboxProtocol; 2] = [MailboxProtocol::Pop3, MailboxProtocol::Imap];

impl Scene {
    async fn skipped(&self) -> usize {
        let is_skipped = |change: &&MailboxChange| matches!(change, MailboxChange::Skipped { .. });
        self.changes().await.iter().filter(is_skipped).count()
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_deleted_under_other_settings_stays() {
    let scene = Scene::new(IncomingMailbox { delete_after_fetch: true, ..mailbox(MailboxProtocol::Pop3) }).await;
    let message = scene.submitted(samples::sample_job("sales", 1)).await;
    scene.server.put(bounce(&scene.tag(message), "taro@example.com", "5.1.1"));
    scene.server.change(|state| state.fail_close = true);
    let running = scene.run();
    assert!(running.mailboxes.read_now(&account()).await.is_err());
    scene.set(Some(mailbox(MailboxProtocol::Pop3))).await;
    scene.server.change(|state| state.fail_close = false);
    running.mailboxes.read_now(&account()).await.expect("it is read");
    assert_eq!((scene.states(1).await, scene.server.left()), (vec!["bounced"], 1));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_is_not_given_is_passed_over_after_three_tries() {
    for (protocol, is_lasting) in BOTH.into_iter().flat_map(|protocol| [(protocol, true), (protocol, false)]) {
        let settings = IncomingMailbox { delete_after_fetch: true, all_mail: true, ..mailbox(protocol) };
        let scene = Scene::new(settings).await;
        scene.server.put(vacation());
        scene.server.put(vacation());
        let words = if is_lasting { "it is broken" } else { "[UNAVAILABLE] later" };
        scene.server.change(|state| state.refused = (1, words));
        let running = scene.run();
        for _ in 0..5 {
            running.mailboxes.read_now(&account()).await.expect("it is read");
        }
        assert_eq!(scene.skipped().await, usize::from(is_lasting), "{protocol:?} {words}");
        // The other one is asked for once.
        assert_eq!(scene.server.fetched() == 3 + 1, is_lasting, "{protocol:?} {words}");
        let is_blocked = protocol == MailboxProtocol::Imap && !is_lasting;
        assert_eq!(scene.server.left(), if is_blocked { 2 } else { 1 }, "{protocol:?} {words}");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_ends_the_connection_is_passed_over_after_three_times() {
    for protocol in BOTH {
        let scene = Scene::new(mailbox(protocol)).await;
        scene.server.put(vacation());
        scene.server.put(vacation());
        scene.server.change(|state| state.breaks_fetch = Some(1));
        let running = scene.run();
        assert!(running.mailboxes.read_now(&account()).await.is_err());
        for _ in 0..3 {
            // The reader may have looked in by itself in between.
            drop(running.mailboxes.read_now(&account()).await);
        }
        running.mailboxes.read_now(&account()).await.expect("it is read");
        let counts = (scene.skipped().await, scene.server.fetched(), scene.server.left());
        assert_eq!(counts, (1, 3 + 1, 2), "{protocol:?}");
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_look_without_progress_is_not_made_again_at_once() {
    let scene = Scene::new(mailbox(MailboxProtocol::Pop3)).await;
    for _ in 0..600 {
        scene.server.put(vacation());
    }
    scene.server.change(|state| state.refused = (600, "[SYS/TEMP] later"));
    scene.read_once().await.expect("it is read");
    assert_eq!((scene.server.fetched(), scene.skipped().await), (500, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_waits_break_off_is_not_waited_for() {
    let scene = Scene::new(mailbox(MailboxProtocol::Imap)).await;
    scene.server.change(|state| state.breaks_waits = true);
    let running = scene.run();
    sleep(Duration::from_secs(3_600)).await;
    assert!((8..20).contains(&scene.server.openings()), "{} openings in an hour", scene.server.openings());
    scene.server.change(|state| state.breaks_waits = false);
    running.mailboxes.read_now(&account()).await.expect("it is read");
    assert!(!running.mailboxes.status(&account()).expect("it has a reader").idling);
    // Other settings are another try.
    scene.set(Some(IncomingMailbox { warn_messages: 9, ..mailbox(MailboxProtocol::Imap) })).await;
    sleep(Duration::from_secs(5)).await;
    assert!(running.mailboxes.status(&account()).expect("it has a reader").idling);
    running.stop().await;
}
