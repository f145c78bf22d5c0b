// Package cohort holds the members of static cohorts: lists of persons that somebody made,
// and no condition does. What a cohort is called, and the conditions of others, are objects.
//
// A member is the ordinal that a person had when it was added; package person leads from
// there to the person of today. [State] is what apply changes, [Table] an immutable value of
// it that a query reads.
package cohort
