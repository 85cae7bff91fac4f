use super::*;

fn read(query: &str) -> Listing {
    Listing::read(&crate::incoming::pairs(query)).expect(query)
}

#[track_caller]
fn orders(query: &str, order: &str) {
    assert_eq!(read(query).order, order, "{query}");
}

#[track_caller]
fn pages(query: &str, limit: i64, offset: i64) {
    let listing = read(query);
    assert_eq!((listing.limit, listing.offset), (limit, offset), "{query}");
}

#[test]
fn each_sort_has_its_natural_order() {
    orders("", "created_desc");
    orders("sort=created", "created_desc");
    orders("sort=title", "title_asc");
    orders("sort=due_date", "due_date_asc");
    orders("sort=priority", "priority_desc");
    orders("sort=updated", "updated_desc");
}

#[test]
fn an_order_is_a_suffix_or_a_parameter_and_the_parameter_wins() {
    orders("sort=created_asc", "created_asc");
    orders("sort=created_at_asc", "created_asc");
    orders("sort_by=createdAt&sort_order=asc", "created_asc");
    orders("sort=due_date_desc", "due_date_desc");
    orders("sort=title_asc&order=desc", "title_desc");
    orders("order=asc", "created_asc");
    orders("sort=title&sort_by=priority", "title_asc");
}

#[test]
fn pages_count_from_one() {
    pages("", 1000, 0);
    pages("page=1", 20, 0);
    pages("page=3&limit=50", 50, 100);
    pages("skip=7", 1000, 7);
    pages("offset=5&skip=7&page=9", 20, 5);
    pages("page=9223372036854775807&limit=100", 100, i64::MAX);
}

#[test]
fn filters_combine_and_empty_ones_are_off() {
    assert!(read("status=all&search=&tags=&tag=&limit=5&unknown=1").is_plain());
    assert!(!read("status=pending").is_plain());
    assert!(!read("sort=title").is_plain());
    assert_eq!(read("status=completed").completed, Some(true));
    assert_eq!(read("status=all&completed=no").completed, Some(false));
    assert_eq!(read("tag=a,b&tag=c&tags=d, e&tags=f").tags, ["a,b", "c", "d", "e", "f"]);
    assert_eq!(read("search=a&search=b").search.as_deref(), Some("b"));
}
