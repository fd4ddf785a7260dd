//! How members of the group and their transactions give way to each other. What the client library hides is shown on a broker that hangs
//! up, beside `kafka::publisher`.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Deployment, Facts, PARTITIONS, assert_same, scenarios, wait_until};
use goodfaith::kafka::GroupProtocol;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(300);
const ANSWER: Duration = Duration::from_secs(30);

fn assert_is_oracle(deployment: &Deployment) {
    let (found, expected) = (deployment.published(), deployment.oracle());
    assert!(expected.count > 100, "{} records are too few to compare", expected.count);
    assert_same(&found, &expected);
}

#[test]
#[ignore = "needs a broker"]
fn members_that_the_broker_assigns_join_and_leave_unnoticed() {
    let mut deployment = Deployment::new("kip848");
    deployment.settings.group_protocol = GroupProtocol::Consumer;
    deployment.settings.properties.clear();
    let input = scenarios(9_000);
    let (first, rest) = input.split_at(3_000);
    let (second, third) = rest.split_at(3_000);
    let (stayed, joined) = (Arc::new(Facts::default()), Arc::new(Facts::default()));
    deployment.produce(first);
    let stays = deployment.start(&stayed);
    let leaves = deployment.start(&joined);
    deployment.produce(second);
    wait_until("both members have partitions", PATIENCE, || {
        joined.count("PartitionRestored") > 0 && stayed.count("PartitionRestored") > 0
    });
    deployment.wait_handled(PATIENCE);
    leaves.stop();
    leaves.join().unwrap();
    deployment.produce(third);
    deployment.wait_handled(PATIENCE);
    let held = stayed.count("PartitionAssigned") - stayed.count("PartitionRevoked");
    assert_eq!(held, PARTITIONS as usize, "the one that stays holds what the other had");
    stays.stop();
    stays.join().unwrap();
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn a_static_member_that_stops_keeps_its_partitions() {
    let mut stays = Deployment::new("static");
    // Far longer than the stop: no partition may move because of it.
    stays.settings.properties.insert("session.timeout.ms".to_owned(), "60000".to_owned());
    let mut stops = stays.clone();
    stays.settings.instance_id = Some("stays".to_owned());
    stops.settings.instance_id = Some("stops".to_owned());
    let input = scenarios(9_000);
    let (first, rest) = input.split_at(3_000);
    let (second, third) = rest.split_at(3_000);
    let (stayed, before, after) =
        (Arc::new(Facts::default()), Arc::new(Facts::default()), Arc::new(Facts::default()));
    stays.produce(first);
    let staying = stays.start(&stayed);
    let stopping = stops.start(&before);
    let half = PARTITIONS as usize / 2;
    let held = |facts: &Facts| facts.count("PartitionAssigned") - facts.count("PartitionRevoked");
    wait_until("each holds half of the partitions", PATIENCE, || {
        held(&stayed) == half && held(&before) == half
    });
    stays.wait_handled(PATIENCE);
    stopping.stop();
    stopping.join().unwrap();
    let rebalances = stayed.count("Rebalanced");
    // Half of it waits for the one that stopped.
    stays.produce(second);
    let stopping = stops.start(&after);
    stays.produce(third);
    stays.wait_handled(PATIENCE);
    assert_eq!(held(&after), half);
    assert_eq!(stayed.count("Rebalanced"), rebalances, "nothing moved");
    for service in [stopping, staying] {
        service.stop();
        service.join().unwrap();
    }
    assert_is_oracle(&stays);
}

#[test]
#[ignore = "needs a broker"]
fn of_two_processes_with_one_instance_id_the_first_ends_and_says_so() {
    let deployment = Deployment::new("fenced");
    deployment.produce(&scenarios(2_000));
    let mut first = deployment.spawn(&[]);
    deployment.wait_handled(PATIENCE);
    let mut second = deployment.spawn(&[]);
    // A signal that changes nothing: it ends by itself.
    assert_eq!(first.end("CONT").code(), Some(1));
    deployment.produce(&scenarios(1_000));
    deployment.wait_handled(PATIENCE);
    assert_eq!(second.end("TERM").code(), Some(0));
    assert_is_oracle(&deployment);
}

#[test]
#[ignore = "needs a broker"]
fn an_offset_in_an_open_transaction_is_waited_for() {
    let deployment = Deployment::new("stable");
    let input = scenarios(3_000);
    let (first, second) = input.split_at(2_000);
    deployment.produce(first);
    let service = deployment.start(&Arc::default());
    deployment.wait_handled(PATIENCE);
    service.stop();
    service.join().unwrap();

    // Someone's transaction holds another offset of partition 0. (A consumer outside of any group sends no generation to check.)
    let outsider: BaseConsumer =
        deployment.client().set("group.id", &deployment.settings.group_id).create().unwrap();
    let other: BaseProducer = deployment
        .client()
        .set("transactional.id", format!("{}-other", deployment.settings.group_id))
        .set("transaction.timeout.ms", "300000")
        .create()
        .unwrap();
    other.init_transactions(ANSWER).unwrap();
    other.begin_transaction().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&deployment.topic("events"), 0, Offset::Offset(1)).unwrap();
    let group = outsider.group_metadata().unwrap();
    other.send_offsets_to_transaction(&offsets, &group, ANSWER).unwrap();

    let facts = Arc::new(Facts::default());
    let service = deployment.start(&facts);
    deployment.produce(second);
    let others = PARTITIONS as usize - 1;
    let is_back =
        |partition: i32| facts.count(&format!("PartitionRestored {{ partition: {partition},")) == 1;
    wait_until("the other partitions are back", PATIENCE, || (1..PARTITIONS).all(is_back));
    assert_eq!(facts.count("PartitionRestored"), others, "what is not certain is not believed");
    other.abort_transaction(ANSWER).unwrap();
    wait_until("the partition is back", PATIENCE, || is_back(0));
    deployment.wait_handled(PATIENCE);
    service.stop();
    service.join().unwrap();
    assert_is_oracle(&deployment);
}
