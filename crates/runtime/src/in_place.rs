//! Futures made where they stay, in memory that is used again.
//!
//! The future of a request is kilobytes, of which it writes a part. A worker keeps the memory
//! of a few that have ended: the one given back last is the next one's, while it is still in
//! the processor's cache. Allocators with lists of free pieces, as mimalloc, give the one that
//! has been free for longest.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

/// Pieces of memory differ in size by this much.
const STEP_BYTES: usize = 256;

/// How many steps the largest piece has that is kept for another future.
const STEPS_MAX: usize = 64;

/// What each piece is aligned to; futures that want more get memory that is not kept.
const ALIGNMENT: usize = 16;

/// How many pieces of one size a worker keeps.
const KEPT_MAX: usize = 64;

/// A future that stays where it was made. See [`future`].
#[derive(Debug)]
pub struct InPlace<F> {
    future: NonNull<F>,
    // Behind the future's end, also if that panics: fields are dropped after `Drop::drop`.
    _memory: Memory,
    owned: PhantomData<F>,
}

/// The future that `make` gives, in memory of its own to which it is not moved.
///
/// `Box::pin(future)` makes the future on the stack and copies all of it, which holds
/// nothing yet for the most part. Here the memory comes first, so that only what the future
/// begins with is written.
#[inline]
pub fn future<F: Future>(make: impl FnOnce() -> F) -> InPlace<F> {
    let memory = Memory::take(Layout::new::<F>());
    let future = memory.place.cast::<F>();
    // SAFETY: `memory` is of at least the size and alignment of an `F`, and nobody else's.
    unsafe { future.write(make()) };
    InPlace {
        future,
        _memory: memory,
        owned: PhantomData,
    }
}

/// Moving it does not move the future.
impl<F> Unpin for InPlace<F> {}

impl<F> Drop for InPlace<F> {
    fn drop(&mut self) {
        // SAFETY: it was written when this was made, and nothing uses it after this.
        unsafe { self.future.drop_in_place() };
    }
}

impl<F: Future> Future for InPlace<F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is alive and only reached through `self`, which is borrowed; it
        // stays where it is until it is dropped, and its memory is not given back before.
        let future = unsafe { Pin::new_unchecked(self.future.as_mut()) };
        future.poll(cx)
    }
}

/// A piece of memory, given back when dropped.
#[derive(Debug)]
struct Memory {
    place: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    fn take(wanted: Layout) -> Self {
        let steps = steps(wanted);
        // While a thread ends there may be no spare pieces any more.
        let kept = steps.and_then(|steps| SPARE.try_with(|spare| spare.take(steps)).ok()?);
        let layout = steps.map_or_else(|| not_empty(wanted), layout_of);
        Self {
            place: kept.unwrap_or_else(|| allocate(layout)),
            layout,
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let kept = steps(self.layout)
            .is_some_and(|steps| SPARE.try_with(|spare| spare.keep(steps, self.place)) == Ok(true));
        if !kept {
            // SAFETY: it was allocated with this layout, and nobody else has it.
            unsafe { dealloc(self.place.as_ptr(), self.layout) };
        }
    }
}

thread_local! {
    static SPARE: Spare = const {
        Spare {
            pieces: [const { RefCell::new(Vec::new()) }; STEPS_MAX],
        }
    };
}

/// Memory of futures that have ended.
struct Spare {
    /// Of one step, of two, and so on.
    pieces: [RefCell<Vec<NonNull<u8>>>; STEPS_MAX],
}

impl Spare {
    fn take(&self, steps: usize) -> Option<NonNull<u8>> {
        self.pieces[steps - 1].borrow_mut().pop()
    }

    /// Keeps a piece; false if there are enough.
    fn keep(&self, steps: usize, place: NonNull<u8>) -> bool {
        let mut pieces = self.pieces[steps - 1].borrow_mut();
        let has_room = pieces.len() < KEPT_MAX;
        if has_room {
            pieces.push(place);
        }
        has_room
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for (pieces, steps) in self.pieces.iter_mut().zip(1..) {
            for place in pieces.get_mut().drain(..) {
                // SAFETY: pieces of so many steps are allocated with this layout, and what is
                // kept is nobody else's.
                unsafe { dealloc(place.as_ptr(), layout_of(steps)) };
            }
        }
    }
}

/// How many steps a piece has that is for `wanted`, if such are kept.
fn steps(wanted: Layout) -> Option<usize> {
    let steps = wanted.size().div_ceil(STEP_BYTES).max(1);
    (steps <= STEPS_MAX && wanted.align() <= ALIGNMENT).then_some(steps)
}

fn layout_of(steps: usize) -> Layout {
    Layout::from_size_align(steps * STEP_BYTES, ALIGNMENT).expect("a power of two, and no overflow")
}

/// Memory of no size cannot be asked for.
fn not_empty(wanted: Layout) -> Layout {
    Layout::from_size_align(wanted.size().max(1), wanted.align()).expect("as wanted, or one byte")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout made here is of size 0.
    let place = unsafe { alloc(layout) };
    NonNull::new(place).unwrap_or_else(|| handle_alloc_error(layout))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use super::*;
    use crate::local;

    /// Says when it is dropped.
    struct Guest(Rc<Cell<u32>>);

    impl Drop for Guest {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[repr(align(64))]
    struct Aligned([u8; 64]);

    fn place<F>(future: &InPlace<F>) -> usize {
        future.future.addr().get()
    }

    #[test]
    fn it_runs_like_any_other() {
        let answer = 42;
        assert_eq!(local::block_on(future(|| async move { answer })), 42);
    }

    #[test]
    fn the_memory_of_the_one_that_ended_last_is_the_next_ones() {
        let large = [7_u8; 1_000];
        let first = future(|| async move { large.len() });
        let second = future(|| async move { large.len() });
        let (first_at, second_at) = (place(&first), place(&second));
        assert_ne!(first_at, second_at);
        drop(second);
        assert_eq!(local::block_on(first), large.len());
        let third = future(|| async move { large.first().copied() });
        assert_eq!(place(&third), first_at);
        let fourth = future(|| async move { large.last().copied() });
        assert_eq!(place(&fourth), second_at);
        // One of another size takes neither.
        assert_ne!(place(&future(|| async {})), second_at);
    }

    #[test]
    fn what_a_future_holds_is_dropped_with_it_and_once() {
        let dropped = Rc::new(Cell::new(0));
        let hold = || {
            let guest = Guest(Rc::clone(&dropped));
            move || async move {
                tokio::task::yield_now().await;
                drop(guest);
            }
        };
        drop(future(hold()));
        assert_eq!(dropped.get(), 1);
        local::block_on(future(hold()));
        assert_eq!(dropped.get(), 2);
    }

    #[test]
    fn a_panic_gives_the_memory_back() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("a future that panics when dropped");
            }
        }
        fn make() -> impl Future<Output = usize> {
            let content = [7_u8; 3_000];
            async move { content.len() }
        }
        let free = place(&future(make));
        let unmade = catch_unwind(|| {
            future(|| -> std::future::Ready<[u8; 3_000]> { panic!("a future that is not made") })
        });
        assert!(unmade.is_err());
        let (bomb, content) = (Bomb, [0_u8; 3_000]);
        let bomb = future(|| async move {
            let _bomb = bomb;
            content.len()
        });
        let ended = catch_unwind(AssertUnwindSafe(|| drop(bomb)));
        assert!(ended.is_err());
        assert_eq!(place(&future(make)), free);
    }

    #[test]
    fn any_size_and_alignment_is_served() {
        assert_eq!(
            place(&future(|| std::future::ready(Aligned([7; 64])))) % 64,
            0
        );
        let huge = [7_u8; 64 * 1024];
        assert_eq!(
            local::block_on(future(|| async move { huge.len() })),
            huge.len()
        );
        local::block_on(future(|| async {}));
        assert_eq!(
            local::block_on(future(|| std::future::ready(Aligned([3; 64])))).0[0],
            3
        );
    }

    #[test]
    fn a_thread_keeps_a_few_and_frees_them_at_its_end() {
        let kept = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let many: Vec<_> = (0..2 * KEPT_MAX).map(|_| future(|| async {})).collect();
                drop(many);
                SPARE.with(|spare| spare.pieces[0].borrow().len())
            });
            thread.join().ok()
        });
        assert_eq!(kept, Some(KEPT_MAX));
    }
}
