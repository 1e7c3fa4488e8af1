//! From which course and stage a rollout may go to which. The model check compares this list with what the engine does:
//! a new line is a decision that a user has to make.
//!
//! `[*]` is before anything; a place that leads to itself begins again: another template, or a retry. Several changes
//! may come in one decision: where every pod of an earlier version still is, its way back begins with the routes.

/// Stages of a promotion: pods, all traffic to the canary target, the stable target moves, traffic to the stable target.
pub const CANARY_BY_ROUTES: &str = "
Aborted -> Idle Returning Stepping
FirstDeploy -> FirstDeploy Idle
Idle -> Promoting_RouteToCanary Promoting_Scale Stepping
Promoting_MoveStable -> Promoting_RouteToStable
Promoting_RouteToCanary -> Aborted Idle Promoting_MoveStable Returning
Promoting_RouteToStable -> Idle
Promoting_Scale -> Aborted Idle Promoting_RouteToCanary Returning
Returning -> Idle
Stepping -> Aborted Idle Promoting_Scale Returning Stepping
[*] -> FirstDeploy
";

/// Pods are the split: a promotion has one stage.
pub const CANARY_BY_RATIO: &str = "
Aborted -> Idle Returning Stepping
FirstDeploy -> FirstDeploy Idle
Idle -> Promoting_Scale Stepping
Promoting_Scale -> Aborted Idle Returning
Returning -> Idle
Stepping -> Aborted Idle Promoting_Scale Returning Stepping
[*] -> FirstDeploy
";

/// An analysis follows the move of the routes, and may be retried, aborted or undone like the steps before it.
pub const BLUE_GREEN_BY_ROUTES: &str = "
Aborted -> Idle Returning Stepping
FirstDeploy -> FirstDeploy Idle
Idle -> Promoting_RouteToCanary Promoting_Scale Stepping
Promoting_MoveStable -> Promoting_RouteToStable
Promoting_PostAnalysis -> Aborted Promoting_MoveStable Returning Stepping
Promoting_RouteToCanary -> Aborted Idle Promoting_MoveStable Promoting_PostAnalysis Returning
Promoting_RouteToStable -> Idle
Promoting_Scale -> Aborted Idle Promoting_RouteToCanary Returning
Returning -> Idle
Stepping -> Aborted Idle Promoting_Scale Returning Stepping
[*] -> FirstDeploy
";

/// The switch is one write, and one write rolls it back: a return is over in the decision it begins in.
pub const BLUE_GREEN_BY_SERVICE: &str = "
Aborted -> Idle Stepping
FirstDeploy -> FirstDeploy Idle
Idle -> Promoting_MoveStable Promoting_Scale Stepping
Promoting_MoveStable -> Aborted Idle Promoting_PostAnalysis
Promoting_PostAnalysis -> Aborted Idle Stepping
Promoting_Scale -> Aborted Idle Promoting_MoveStable
Stepping -> Aborted Idle Promoting_Scale Stepping
[*] -> FirstDeploy
";

/// A test ends for the candidate, which is promoted, or for control, which is no failure. Where the candidate has all its pods
/// when an operator promotes it, its promotion begins with the routes.
pub const AB_TEST: &str = "
Aborted -> Idle Returning Stepping
ControlKept -> Idle Returning Stepping
FirstDeploy -> FirstDeploy Idle
Idle -> Promoting_RouteToCanary Promoting_Scale Stepping
Promoting_MoveStable -> Promoting_RouteToStable
Promoting_RouteToCanary -> Aborted Idle Promoting_MoveStable Returning
Promoting_RouteToStable -> Idle
Promoting_Scale -> Aborted Idle Promoting_RouteToCanary Returning
Returning -> Idle
Stepping -> Aborted ControlKept Idle Promoting_RouteToCanary Promoting_Scale Returning Stepping
[*] -> FirstDeploy
";
