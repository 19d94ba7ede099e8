//! How a paged list becomes one stream.

use std::future::Future;

use futures_util::stream::{Stream, TryStreamExt as _, iter, try_unfold};

use crate::error::Error;

/// All items of a list, page after page; `fetch` gets the page of a token (the first when empty) with the next one's token.
pub(crate) fn all_pages<T, F, P>(fetch: F) -> impl Stream<Item = Result<T, Error>>
where
    F: Fn(String) -> P,
    P: Future<Output = Result<(Vec<T>, String), Error>>,
{
    try_unfold((fetch, Some(String::new())), |(fetch, token)| async move {
        let Some(token) = token else { return Ok::<_, Error>(None) };
        let (items, next) = fetch(token).await?;
        let next = (!next.is_empty()).then_some(next);
        Ok(Some((iter(items.into_iter().map(Ok::<T, Error>)), (fetch, next))))
    })
    .try_flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_ends_with_the_page_that_names_no_next_one() {
        let fetch = |token: String| async move {
            Ok(match token.as_str() {
                "" => (vec![1, 2], "a".to_owned()),
                "a" => (vec![], "b".to_owned()),
                _ => (vec![3], String::new()),
            })
        };
        let items: Vec<i32> = all_pages(fetch).try_collect().await.unwrap();
        assert_eq!(items, [1, 2, 3]);
    }
}
