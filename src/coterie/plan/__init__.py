"""Before anything is learnt: what a user asked for goes in, a `Plan` with every setting and its origin comes out."""

from coterie.plan.checks import check_enough
from coterie.plan.plan import Plan, plan
from coterie.plan.request import Request

__all__ = ["Plan", "Request", "check_enough", "plan"]
