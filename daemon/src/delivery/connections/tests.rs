//! Whether slots are bounded, shared out fairly, and given up by those that hang.

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::*;

fn id(name: &str) -> AccountId {
    name.parse().expect("an id")
}

/// The slot that is there at once, if one is.
fn now(slots: &Arc<ConnectionSlots>, account: &str) -> Option<Result<OpeningSlot, NotNow>> {
    slots.open(&id(account)).now_or_never()
}

fn opening(slots: &Arc<ConnectionSlots>, account: &str) -> OpeningSlot {
    now(slots, account).expect("no wait").expect("a slot")
}

#[tokio::test(start_paused = true)]
async fn an_account_opens_its_first_connection_alone() {
    let slots = ConnectionSlots::new(10);
    let first = opening(&slots, "a");
    assert_eq!(slots.allowance(&id("a")), 1);
    assert_eq!(now(&slots, "a").expect("no wait").err(), Some(NotNow));
    let first = first.established();
    assert_eq!(slots.allowance(&id("a")), 5);
    drop((first, opening(&slots, "a")));
    assert_eq!(slots.allowance(&id("a")), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_takes_all_it_can_leaves_room_for_others() {
    let slots = ConnectionSlots::new(10);
    let mut held = Vec::new();
    for (account, expected) in [("a", 5), ("b", 3), ("c", 1), ("d", 1)] {
        held.push(opening(&slots, account).established());
        for _ in 1..expected {
            assert!(slots.allowance(&id(account)) > 1);
            held.push(opening(&slots, account).established());
        }
        assert_eq!(slots.allowance(&id(account)), expected, "{account}");
        assert_eq!(now(&slots, account).expect("no wait").err(), Some(NotNow), "{account}");
    }
    assert!(now(&slots, "e").is_none(), "all ten are taken");
}

#[tokio::test(start_paused = true)]
async fn those_who_have_none_are_served_in_the_order_in_which_they_came() {
    let slots = ConnectionSlots::new(1);
    let held = opening(&slots, "a").established();
    let (b, c) = (id("b"), id("c"));
    let mut second = Box::pin(slots.open(&b));
    let mut third = Box::pin(slots.open(&c));
    assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
    assert!(slots.are_wanted());
    drop(held);
    assert!((&mut third).now_or_never().is_none());
    let second = second.await.expect("its turn");
    assert!((&mut third).now_or_never().is_none());
    drop(second);
    drop(third.await.expect("its turn"));
    assert!(!slots.are_wanted());
}

#[tokio::test(start_paused = true)]
async fn one_who_stops_waiting_takes_nothing_along() {
    let slots = ConnectionSlots::new(1);
    let held = opening(&slots, "a");
    let (b, c) = (id("b"), id("c"));
    let (mut gone, mut late) = (Box::pin(slots.open(&b)), Box::pin(slots.open(&c)));
    assert!((&mut gone).now_or_never().is_none() && (&mut late).now_or_never().is_none());
    // It is granted the slot, and never learns of it.
    drop(held);
    drop(gone);
    drop(late.await.expect("a slot"));
    assert!(now(&slots, "b").is_some());
    assert!(slots.state().shares.is_empty(), "an account without connections costs nothing");
}

#[tokio::test(start_paused = true)]
async fn what_hangs_gives_way_to_those_who_have_none_and_to_nobody_else() {
    let slots = ConnectionSlots::new(2);
    let (hanging, slower) = (opening(&slots, "a"), opening(&slots, "b"));
    tokio::time::advance(OPENING_PATIENCE * 3).await;
    assert!(hanging.called_off().now_or_never().is_none(), "nobody waits");
    let c = id("c");
    let mut waiting = Box::pin(slots.open(&c));
    assert!((&mut waiting).now_or_never().is_none());
    hanging.called_off().await;
    assert!(slower.called_off().now_or_never().is_none(), "one gives way to one");
    drop(hanging);
    let served = waiting.await.expect("a slot");
    assert!(served.called_off().now_or_never().is_none(), "it has its time too");
    drop(slower);
}

#[tokio::test(start_paused = true)]
async fn what_comes_about_after_all_is_kept_and_another_one_gives_way() {
    let slots = ConnectionSlots::new(2);
    let (late, hanging) = (opening(&slots, "a"), opening(&slots, "b"));
    tokio::time::advance(OPENING_PATIENCE).await;
    let c = id("c");
    let mut waiting = Box::pin(slots.open(&c));
    assert!((&mut waiting).now_or_never().is_none());
    late.called_off().await;
    let kept = late.established();
    hanging.called_off().await;
    assert!(kept.wanted().now_or_never().is_none());
    drop(hanging);
    drop(waiting.await.expect("a slot"));
    drop(kept);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_hanging_servers_holds_up_the_others_for_some_patience_only() {
    const SLOTS: usize = 50;
    const HANGING: usize = 500;
    const WORKING: usize = 500;
    let slots = ConnectionSlots::new(SLOTS);
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..HANGING {
        let slots = Arc::clone(&slots);
        tasks.spawn(async move {
            let slot = slots.open(&id(&format!("hanging{number}"))).await.expect("a slot");
            slot.called_off().await;
            begin.elapsed()
        });
    }
    for number in 0..WORKING {
        let slots = Arc::clone(&slots);
        tasks.spawn(async move {
            let slot = slots.open(&id(&format!("working{number}"))).await.expect("a slot").established();
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(slot);
            begin.elapsed()
        });
    }
    let mut ends = Vec::new();
    while ends.len() < HANGING - SLOTS + WORKING {
        ends.push(tasks.join_next().await.expect("more").expect("no panic"));
    }
    let rounds = u32::try_from(HANGING / SLOTS).expect("few");
    // The last of them hang on, as nobody waits for their slots.
    let bound = OPENING_PATIENCE * rounds + Duration::from_secs(u64::try_from(WORKING / SLOTS).expect("few") + 1);
    assert!(ends.iter().max() <= Some(&bound), "{:?} of {bound:?}", ends.iter().max());
}
