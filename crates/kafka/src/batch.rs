//! Many records per call, without copies: the one module that speaks to librdkafka directly.
//!
//! rdkafka hands over records one at a time, each through an event of its own; that costs two to three times the CPU of
//! `rd_kafka_consume_batch_queue`. All partition queues are forwarded to one queue, and batches are taken from it. The
//! consumer's own queue carries everything else (rebalances, errors) and must still be polled.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::time::Duration;
use std::{ptr, slice};

use rdkafka::ClientConfig;
use rdkafka::bindings::{self as ffi, rd_kafka_message_t, rd_kafka_queue_t, rd_kafka_resp_err_t};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// A consumer, and the queue that its partitions' records arrive in.
pub struct BatchConsumer<C: ConsumerContext + 'static> {
    // Before `consumer`: fields are dropped in this order, and destroying a client waits for ever while a queue made
    // for it still exists.
    queue: Queue,
    consumer: BaseConsumer<C>,
    /// Assigned, and not yet seen to deliver. When a partition is assigned that was assigned before, librdkafka first
    /// stops it, in its own thread and some time after `assign` has returned; that undoes the forwarding, and what is
    /// fetched afterwards would wait in a queue that nobody reads. So each partition is forwarded again with every fetch,
    /// until its first record or end has come through. (What already waits moves along.)
    unproven: BTreeSet<(String, i32)>,
}

struct Queue {
    handle: *mut rd_kafka_queue_t,
    /// Room for one batch. Holds messages only while a [`Batch`] borrows it.
    messages: Vec<*mut rd_kafka_message_t>,
}

// SAFETY: librdkafka's queues may be used from any thread, and `messages` is empty whenever the value can be moved (a
// `Batch`, which fills it, borrows it mutably).
unsafe impl Send for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the handle came from rd_kafka_queue_new, is owned by us, and is destroyed here only.
        unsafe { ffi::rd_kafka_queue_destroy(self.handle) }
    }
}

/// What a partition's queue holds.
#[derive(Clone, Copy, Debug)]
pub enum Fetched<'a> {
    Record {
        topic: &'a str,
        partition: i32,
        offset: i64,
        /// Milliseconds since the Unix epoch, as the log has it.
        timestamp_ms: Option<i64>,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
    },
    /// Also `_PARTITION_EOF`, where `offset` is the position behind everything readable.
    Error { topic: &'a str, partition: i32, offset: i64, code: RDKafkaErrorCode },
}

/// Messages that go back to librdkafka when this is dropped, also on a panic.
pub struct Batch<'a> {
    messages: &'a mut Vec<*mut rd_kafka_message_t>,
}

impl<C: ConsumerContext + 'static> BatchConsumer<C> {
    pub fn new(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let consumer: BaseConsumer<C> = config.create_with_context(context)?;
        // SAFETY: the client is alive; the new queue is destroyed before it (see the order of the fields).
        let handle = unsafe { ffi::rd_kafka_queue_new(consumer.client().native_ptr()) };
        assert!(!handle.is_null(), "rd_kafka_queue_new only allocates memory");
        Ok(Self { queue: Queue { handle, messages: Vec::new() }, consumer, unproven: BTreeSet::new() })
    }

    pub fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Reads these partitions from these offsets, and no others.
    pub fn assign(&mut self, starts: &[(&str, i32, i64)]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(starts.len());
        for (topic, partition, offset) in starts {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        self.unproven = starts.iter().map(|(topic, partition, _)| ((*topic).to_owned(), *partition)).collect();
        // Before assigning, too: what is fetched before the first forwarding would go to the consumer's own queue.
        self.forward_unproven();
        self.consumer.assign(&list)
    }

    fn forward_unproven(&self) {
        for (topic, partition) in &self.unproven {
            let Ok(topic) = CString::new(topic.as_str()) else { continue };
            // SAFETY: client and queue are alive, and `topic` outlives the calls. The handle that get_partition gives is
            // ours to destroy; the forwarding itself stays and holds a reference to our queue.
            unsafe {
                let native = self.consumer.client().native_ptr();
                let partition_queue = ffi::rd_kafka_queue_get_partition(native, topic.as_ptr(), *partition);
                if !partition_queue.is_null() {
                    ffi::rd_kafka_queue_forward(partition_queue, self.queue.handle);
                    ffi::rd_kafka_queue_destroy(partition_queue);
                }
            }
        }
    }

    /// The offset behind the last record of a partition, as of its last fetch: no request is made. `None` before it.
    pub fn log_end(&self, topic: &str, partition: i32) -> Option<i64> {
        let topic = CString::new(topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, `topic` and both numbers outlive the call.
        let error = unsafe {
            let client = self.consumer.client().native_ptr();
            ffi::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high)
        };
        (error == ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    /// Takes up to `max` messages. Waits until that many are there or `timeout` has passed, so to wait for the next
    /// record ask for one.
    pub fn fetch(&mut self, timeout: Duration, max: usize) -> Batch<'_> {
        self.forward_unproven();
        let messages = &mut self.queue.messages;
        debug_assert!(messages.is_empty());
        messages.reserve(max);
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive, and there is room for `max` pointers. librdkafka writes the first `taken` of them
        // (-1 is an error, and none), each a message that is ours to destroy; only those become part of the vector.
        unsafe {
            let taken = ffi::rd_kafka_consume_batch_queue(self.queue.handle, timeout_ms, messages.as_mut_ptr(), max);
            messages.set_len(usize::try_from(taken).unwrap_or(0));
        }
        let batch = Batch { messages };
        if !self.unproven.is_empty() {
            for fetched in batch.iter() {
                let (Fetched::Record { topic, partition, .. } | Fetched::Error { topic, partition, .. }) = fetched;
                self.unproven.remove(&(topic.to_owned(), partition));
            }
        }
        batch
    }

    /// Whether anything waits in the consumer's own queue.
    pub fn events_wait(&self) -> bool {
        // SAFETY: the client is alive. The handle is ours and destroyed here; null means a client without a group.
        unsafe {
            let own = ffi::rd_kafka_queue_get_consumer(self.consumer.client().native_ptr());
            if own.is_null() {
                return false;
            }
            let waiting = ffi::rd_kafka_queue_length(own);
            ffi::rd_kafka_queue_destroy(own);
            waiting > 0
        }
    }

    /// The place in the group that the consumer believes to have; `None` outside of one.
    pub fn membership(&self) -> Option<Membership> {
        // SAFETY: the client is alive. The metadata is ours and null without a group; what it points to is copied before
        // it is destroyed.
        let (generation, member) = unsafe {
            let metadata = ffi::rd_kafka_consumer_group_metadata(self.consumer.client().native_ptr());
            if metadata.is_null() {
                return None;
            }
            let generation = ffi::rd_kafka_consumer_group_metadata_generation_id(metadata);
            let member = ffi::rd_kafka_consumer_group_metadata_member_id(metadata);
            let member =
                if member.is_null() { String::new() } else { CStr::from_ptr(member).to_string_lossy().into_owned() };
            ffi::rd_kafka_consumer_group_metadata_destroy(metadata);
            (generation, member)
        };
        (generation >= 0 && !member.is_empty()).then_some(Membership { generation, member })
    }
}

/// A place in a group. A static member that comes back keeps the generation, but gets a new member id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub generation: i32,
    pub member: String,
}

impl Batch<'_> {
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Fetched<'_>> {
        // Batches hold long runs of one topic, whose name is asked for once.
        let (mut rkt, mut topic) = (ptr::null_mut(), "");
        // SAFETY: every pointer is a live message until this batch is dropped, and what is read from it borrows the batch:
        // so does the name, since the message that it was read from is among them.
        self.messages.iter().map(move |message| unsafe {
            let message = &**message;
            if message.rkt != rkt {
                (rkt, topic) = (message.rkt, topic_name(message));
            }
            fetched(message, topic)
        })
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: each message is ours, is destroyed once, and nothing borrows it any more.
            unsafe { ffi::rd_kafka_message_destroy(message) }
        }
    }
}

/// # Safety
/// `message` must come from librdkafka and stay alive as long as the result.
unsafe fn topic_name(message: &rd_kafka_message_t) -> &str {
    if message.rkt.is_null() {
        return "";
    }
    // SAFETY: a message holds a reference to its topic, whose name is a C string (Kafka allows ASCII only).
    unsafe { CStr::from_ptr(ffi::rd_kafka_topic_name(message.rkt)) }.to_str().unwrap_or("")
}

/// # Safety
/// `message` must come from librdkafka and stay alive as long as the result.
#[inline]
unsafe fn fetched<'a>(message: &'a rd_kafka_message_t, topic: &'a str) -> Fetched<'a> {
    let rd_kafka_message_t { partition, offset, .. } = *message;
    if message.err != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Fetched::Error { topic, partition, offset, code: message.err.into() };
    }
    // SAFETY: the message is alive; the type of the timestamp is not asked for.
    let timestamp_ms = unsafe { ffi::rd_kafka_message_timestamp(message, ptr::null_mut()) };
    Fetched::Record {
        topic,
        partition,
        offset,
        timestamp_ms: (timestamp_ms >= 0).then_some(timestamp_ms),
        // SAFETY: pointer and length describe memory of the message; a null pointer is "none".
        key: unsafe { bytes(message.key.cast(), message.key_len) },
        // SAFETY: as above.
        value: unsafe { bytes(message.payload.cast(), message.len) },
    }
}

/// # Safety
/// Unless null, `start` must point to `len` bytes that stay alive and unchanged as long as the result.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}

/// One element of an offset fetch. Unlike rdkafka's accessor this one survives metadata that is not UTF-8, which any
/// other program may have committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedElement {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub metadata: String,
    pub error: Option<RDKafkaErrorCode>,
}

pub fn committed_elements(list: &TopicPartitionList) -> Vec<CommittedElement> {
    // SAFETY: the list owns `cnt` initialised elements (`elems` is null only if there are none), whose strings and
    // metadata live as long as it does; everything is copied out before the borrow ends.
    unsafe {
        let native = &*list.ptr();
        let count = usize::try_from(native.cnt).unwrap_or(0);
        if count == 0 {
            return Vec::new();
        }
        slice::from_raw_parts(native.elems, count)
            .iter()
            .map(|element| CommittedElement {
                topic: CStr::from_ptr(element.topic).to_string_lossy().into_owned(),
                partition: element.partition,
                offset: element.offset,
                metadata: bytes(element.metadata.cast(), element.metadata_size)
                    .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                    .unwrap_or_default(),
                error: (element.err != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| element.err.into()),
            })
            .collect()
    }
}
