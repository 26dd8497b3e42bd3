"""The points that are kept of the ETA's course."""

from __future__ import annotations

from osc.progress.course import Course


def test_a_point_is_kept_at_each_tenth_of_the_way() -> None:
    course = Course()
    for second in range(101):
        course.saw(second, 0.0, 100.0 - second)
    assert [point.done for point in course.points] == [tenth / 10 for tenth in range(1, 10)]
    assert {point.total_s for point in course.points} == {100.0}
    assert (course.points[0].elapsed_s, course.points[0].eta_s) == (10.0, 90.0)


def test_time_in_which_it_had_to_wait_is_no_part_of_the_way() -> None:
    course = Course()
    assert course.saw(1_000.0, 995.0, 95.0) is None
    point = course.saw(1_010.0, 1_000.0, 90.0)
    assert point is not None
    assert (point.done, point.elapsed_s, point.total_s) == (0.1, 1_010.0, 100.0)


def test_a_part_of_the_way_that_comes_twice_is_told_once() -> None:
    course = Course()
    for elapsed_s, eta_s in ((20.0, 80.0), (21.0, 179.0), (40.0, 160.0), (90.0, 60.0), (95.0, None), (100.0, 0.0)):
        course.saw(elapsed_s, 0.0, eta_s)
    assert [point.done for point in course.points] == [0.2, 0.6]
